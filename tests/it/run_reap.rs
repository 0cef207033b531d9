//! Who may end whose run: other stores, other boots, garbage, mounts, and what is a bystander.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::namespace::Namespace;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;
use crate::run_lost_logs::late;

/// A project with a run whose supervisors and engine are dead, and that nobody has ended.
fn dead_run(sandbox: &Sandbox) -> Run<'_> {
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    run
}

pub fn reap(sandbox: &Sandbox) -> Value {
    sandbox.lattice(["worker", "reap", "--json"]).run().ok().data()
}

/// Changes files of the run directory, as another machine or a later boot would have written them.
fn edit(run: &Run<'_>, file: &str, change: impl Fn(&mut Value)) {
    let path = run.directory().join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(&path, serde_json::to_vec(&value).unwrap()).unwrap();
}

#[test]
fn reap_tells_what_it_did() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    let reaped = reap(&sandbox);
    let row = &reaped[0];
    assert_eq!((&row["run"], &row["task_id"]), (&json!(run.id), &json!(sandbox.task)));
    assert_eq!(row["action"], "finished", "{reaped}");
    assert_eq!(run.terminal().unwrap()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
    assert_eq!(reap(&sandbox), json!([]));
}

#[test]
fn a_live_run_is_not_reaped() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    for _ in 0..3 {
        reap(&sandbox);
    }
    assert!(!main.is_dead() && run.terminal().is_none());
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn f5_a_clone_does_not_end_the_runs_of_its_origin() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    sandbox.commit("With an open run");
    sandbox
        .sh("git clone -q . ../clone && cp -a .lattice/logs ../clone/.lattice/ 2>/dev/null; true");
    let clone = sandbox.base.join("clone");
    // Only that it is another store keeps a clone from it: it is not too early, and in the end nobody is alive.
    late(&sandbox, "../clone/.lattice");
    for is_alive in [true, false] {
        if !is_alive {
            run.lose_supervisors(&main);
        }
        for arguments in [
            &["list"][..],
            &["show", "LAT-1"],
            &["worker", "ps"],
            &["worker", "reap"],
            &["worker", "list"],
        ] {
            sandbox.lattice(arguments).current_dir(&clone).run().ok();
        }
        let rows = sandbox.lattice(["worker", "ps", "--json"]).current_dir(&clone).run().ok();
        let row = &rows.data()[0];
        assert_eq!((&row["run"], &row["state"]), (&json!(run.id), &json!("unsupervised")));
        let log = clone.join(format!(".lattice/events/{}.jsonl", sandbox.task));
        let log = fs::read_to_string(log).unwrap();
        assert!(!log.contains("process_failed"), "{log}");
    }
    reap(&sandbox);
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.sh("git checkout -q -- .lattice/config.json; true");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn f9_another_store_or_host_is_left_to_force() {
    for key in ["store", "host"] {
        let sandbox = Sandbox::new();
        let run = dead_run(&sandbox);
        edit(&run, "spec.json", |spec| {
            spec[key] = json!("another");
            // Another machine has another boot, too; one kernel under two names is one machine.
            if key == "host" {
                spec["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
            }
        });
        reap(&sandbox);
        sandbox.lattice(["list"]).run().ok();
        assert!(run.terminal().is_none() && run.directory().exists(), "{key}");
        sandbox.lattice(["worker", "reap", "--force", &run.id]).run().ok();
        assert_eq!(run.ended()["type"], "process_failed", "{key}");
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

/// Where another kernel may hold the lock, another boot proves nothing.
#[test]
fn f9_on_a_shared_file_system_a_free_lock_is_no_proof() {
    for file_system in ["nfs", "fuse", "9p"] {
        let sandbox = Sandbox::new();
        let run = dead_run(&sandbox);
        edit(&run, "spec.json", |spec| {
            spec["file_system"] = json!(file_system);
            spec["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
        });
        let reaped = reap(&sandbox);
        assert!(reaped[0]["reason"].to_string().contains(file_system), "{reaped}");
        sandbox.lattice(["list"]).run().ok();
        assert!(run.terminal().is_none() && run.directory().exists());
        sandbox.lattice(["worker", "reap", "--force", &run.id]).run().ok();
        assert_eq!(run.ended()["type"], "process_failed");
        sandbox.assert_clean();
    }
}

#[test]
fn after_a_reboot_a_reused_number_is_an_innocent() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    let fake = sandbox.fake_line(&["connect=innocent", "wait"]);
    let innocent = sandbox.program(["bash", "-c", &format!("{fake} | cat")]).start();
    let peer = sandbox.socket.peer("innocent");
    let pipe = fs::read_link(format!("/proc/{}/fd/1", peer.pid)).unwrap().display().to_string();
    let inode: u64 = pipe.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a pipe");
    let boot = json!("00000000-0000-0000-0000-000000000000");
    edit(&run, "spec.json", |spec| spec["boot_id"] = boot.clone());
    edit(&run, "supervisor.json", |both| {
        for role in ["warden", "shim"] {
            both[role]["boot_id"] = boot.clone();
            both[role]["pid"] = json!(peer.pid);
        }
    });
    edit(&run, "engine.json", |engine| {
        engine["boot_id"] = boot.clone();
        engine["pid"] = json!(peer.pid);
        engine["pgid"] = json!(peer.pid);
        engine["pipe_inode"] = json!(inode);
    });
    reap(&sandbox);
    let end = run.ended();
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["exit_code"]),
        (&json!("machine_rebooted"), &Value::Null)
    );
    assert!(!peer.is_dead(), "the innocent was killed");
    peer.tell("exit 0");
    innocent.finish().ok();
    sandbox.assert_clean();
}

/// Who supervises is not synced, and the copy of the start line is not.
#[test]
fn what_a_loss_of_power_has_emptied_is_not_there() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    edit(&run, "spec.json", |spec| spec["boot_id"] = json!("00000000-0000-0000-0000-000000000000"));
    for file in ["supervisor.json", "started", "reported"] {
        fs::write(run.directory().join(file), "").unwrap();
    }
    reap(&sandbox);
    assert_eq!(run.ended()["data"]["reason"], "machine_rebooted");
    sandbox.assert_clean();
}

/// Then nothing says that there ever was a run.
#[test]
fn an_empty_copy_of_a_start_that_git_has_taken_away_brings_nothing_back() {
    let sandbox = Sandbox::new();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let before = fs::read_to_string(&log).unwrap();
    let run = dead_run(&sandbox);
    fs::write(&log, &before).unwrap();
    fs::write(run.directory().join("started"), "").unwrap();
    reap(&sandbox);
    assert_eq!(fs::read_to_string(&log).unwrap(), before);
    sandbox.assert_clean();
}

#[test]
fn s8_a_reused_number_in_the_same_boot_is_an_innocent_too() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    // It leads a group, as an engine does, but the recorded start time is not its.
    let innocent = sandbox.start_fake(&["setsid", "connect=innocent", "wait"]);
    let peer = sandbox.socket.peer("innocent");
    edit(&run, "engine.json", |engine| {
        engine["pid"] = json!(peer.pid);
        engine["pgid"] = json!(peer.pid);
        // Not even if both began in one tick of the clock.
        engine["start_ticks"] = json!(engine["start_ticks"].as_u64().unwrap() - 1);
    });
    reap(&sandbox);
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    assert!(!peer.is_dead(), "the innocent was killed");
    peer.tell("exit 0");
    innocent.finish().ok();
    sandbox.assert_clean();
}

#[test]
fn s17_the_run_of_another_user_is_left_to_that_user() {
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "s17_the_run_of_another_user_is_left_to_that_user",
            "only root can give a file away",
        );
    }
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    sandbox.program(["chown", "65534", run.directory().to_str().unwrap()]).run().ok();
    reap(&sandbox);
    sandbox.lattice(["list"]).run().ok();
    assert!(run.terminal().is_none() && run.directory().exists());
    sandbox.program(["chown", "0", run.directory().to_str().unwrap()]).run().ok();
    reap(&sandbox);
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn s18_garbage_is_removed_and_what_is_being_made_is_not() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    sandbox.run_to_end("Work");
    sandbox.assert_clean();
    let ulid = "01JABCDEFGHJKMNPQRSTVWXYZ0";
    sandbox.sh(&format!(
        "cd .lattice/runs && mkdir .old-ev_{ulid} .new-ev_{ulid} && touch {{.old-,.new-}}ev_{ulid}/lock && mkdir ../worktrees/.trash-x && echo x > ../worktrees/.trash-x/file"
    ));
    let lock = sandbox.lattice_dir().join(format!("runs/.new-ev_{ulid}/lock"));
    let making =
        sandbox.start_fake(&[&format!("lock={}", lock.display()), "connect=maker", "wait"]);
    let maker = sandbox.socket.peer("maker");
    reap(&sandbox);
    let names = |directory: &str| {
        let entries = fs::read_dir(sandbox.lattice_dir().join(directory)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().display().to_string())
            .filter(|n| n != ".store")
            .collect::<Vec<_>>()
    };
    assert_eq!(names("runs"), [format!(".new-ev_{ulid}")]);
    let left: Vec<_> =
        names("worktrees").into_iter().filter(|name| !name.starts_with(".pool-")).collect();
    assert_eq!(left, [""; 0]);
    maker.kill();
    making.finish();
    reap(&sandbox);
    assert_eq!(names("runs"), [""; 0], "never a run: no event either");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn f11_a_mount_in_the_worktree_is_not_emptied() {
    let sandbox = Sandbox::new();
    let namespace = match Namespace::new(&sandbox, "true") {
        Ok(namespace) => namespace,
        Err(reason) => return skipped("f11_a_mount_in_the_worktree_is_not_emptied", &reason),
    };
    let precious = sandbox.base.join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("file"), "precious").unwrap();
    let script = format!("mkdir m && mount --bind {} m && cat m/file", precious.display());
    sandbox.worker("Mount", json!({"command": script, "worktree": true, "on_changes": "discard"}));
    let call = sandbox.lattice(["worker", "run", "Mount", "LAT-1", "--json"]);
    let answer = namespace.inside(call, &sandbox.project).run().ok().data();
    let run = sandbox.run_of(&answer);
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{}", run.log());
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "precious");
    let kept =
        end["data"]["kept_worktree"].as_str().unwrap_or_else(|| panic!("kept_worktree in {end}"));
    assert!(Path::new(kept).exists());
    sandbox.assert_left(&["worktree ", "entry ", "listed ", "process "]);
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "precious");
}
