//! The start: slow supervisors, interrupted callers, many at once; and what stands there while a run is open.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::campaign::{assert_settled, chosen};
use crate::harness::sandbox::Sandbox;
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};

/// A `lattice` that finds its supervisor by `LATTICE_SHIM` alone, and that supervisor: it waits for the test first.
pub fn slow_supervisor(sandbox: &Sandbox) -> (String, String) {
    let alone = sandbox.base.join("alone");
    let shim = binaries::directory().join("lattice-shim").display().to_string();
    let line = sandbox.fake_line(&["connect=slow", "wait", &format!("exec={shim}")]);
    sandbox.sh(&format!(
        "mkdir {0} && cp {1} {0}/lattice && cat > {0}/slow <<'E'\n#!/bin/sh\nexec {line} \"$@\"\nE\nchmod +x {0}/slow",
        alone.display(),
        binaries::lattice().display(),
    ));
    (alone.join("lattice").display().to_string(), alone.join("slow").display().to_string())
}

#[test]
fn f1_a_supervisor_that_is_slow_beyond_patience_starts_nothing_later() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": sandbox.fake(&["connect=main"]), "worktree": true}));
    let (lattice, shim) = slow_supervisor(&sandbox);
    let before = sandbox.tree();
    let call = sandbox.program([lattice.as_str(), "worker", "run", "Work", "LAT-1", "--json"]);
    let refused = call.env("LATTICE_SHIM", shim).run();
    assert!((9.0..20.0).contains(&refused.elapsed.as_secs_f64()), "{refused}");
    refused.silent().refused(1, "SPAWN_ERROR");
    assert_eq!(sandbox.assert_runs_ended(), 0);
    // It wakes up, and nobody is there.
    sandbox.socket.peer("slow").tell("go");
    eventually("the late supervisor has gone", SOON, || match sandbox.processes() {
        none if none.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    assert!(sandbox.socket.others().is_empty(), "no engine was started");
    sandbox.lattice(["worker", "reap"]).run().ok();
    sandbox.assert_clean();
    sandbox.assert_unchanged(&before);
}

#[test]
fn a_supervisor_that_is_slow_within_patience_is_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "exit 3", "worktree": true}));
    let (lattice, shim) = slow_supervisor(&sandbox);
    let call = sandbox.program([lattice.as_str(), "worker", "run", "Work", "LAT-1", "--json"]);
    let calling = call.env("LATTICE_SHIM", shim).start();
    let slow = sandbox.socket.peer("slow");
    assert_eq!(sandbox.runs_of(&sandbox.task).len(), 0, "no event before there is a supervisor");
    slow.tell("go");
    let run = sandbox.run_of(&calling.finish().ok().data());
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    sandbox.assert_clean();
}

#[test]
fn s20_the_cli_interrupted_at_any_moment_of_the_start() {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped("s20_the_cli_interrupted_at_any_moment_of_the_start", "no strace");
    }
    sandbox.worker("Quick", json!({"command": "exit 3", "worktree": true}));
    let start = || sandbox.lattice(["worker", "run", "Quick", "LAT-1"]);
    let (finished, moments) = strace::moments(&sandbox, start());
    finished.ok();
    sandbox.assert_clean();
    for moment in chosen(moments) {
        let before = sandbox.runs_of(&sandbox.task).len();
        let interrupted = strace::struck_at(start(), "SIGINT", &moment).run();
        assert_settled(&sandbox, &moment);
        let began = sandbox.runs_of(&sandbox.task).len() - before;
        let told = interrupted.stdout.contains("started");
        assert!(began == 1 || !told, "{moment:?}: what is told is true, {interrupted}");
    }
    sandbox.assert_runs_ended();
}

#[test]
fn many_workers_start_together_in_one_repository() {
    let sandbox = Sandbox::new();
    let names: Vec<_> = (0..12).map(|n| format!("Worker{n}")).collect();
    for name in &names {
        sandbox.worker(name, json!({"command": format!("echo {name} > made"), "worktree": true}));
    }
    let start = |name: &String| sandbox.lattice(["worker", "run", name, "LAT-1", "--json"]).start();
    let calls: Vec<_> = names.iter().map(start).collect();
    for call in calls {
        let run = sandbox.run_of(&call.finish().ok().data());
        let end = run.ended();
        assert_eq!(end["type"], "process_completed", "{end}\n{}", run.log());
        let name = end["data"]["process_type"].as_str().unwrap();
        let saved = format!("{}:made", end["data"]["preserved_ref"].as_str().unwrap());
        assert_eq!(sandbox.git(["show", &saved]), name);
    }
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 12);
}

#[test]
fn what_is_private_is_private_and_what_the_engine_makes_is_the_users() {
    let sandbox = Sandbox::new();
    let made = sandbox.base.join("made").display().to_string();
    let steps = [&format!("write={made}:x"), "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    let answer = call.through(["bash", "-c", r#"umask 027; exec "$@""#, "bash"]).run().ok().data();
    let run = sandbox.run_of(&answer);
    let main = sandbox.socket.peer("main");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(made.as_ref()), 0o640, "the caller's umask");
    let lattice = sandbox.lattice_dir();
    let log = lattice.join(format!("logs/workers/{}.log", run.id));
    let worktrees = lattice.join("worktrees");
    assert_eq!((mode(&run.directory()), mode(&log), mode(&worktrees)), (0o700, 0o600, 0o700));
    let file =
        std::path::Path::new(run.started["worktree_path"].as_str().unwrap()).join("README.md");
    assert_eq!(mode(&file), 0o640, "what is checked out is the user's");
    let spec: Value =
        serde_json::from_slice(&fs::read(run.directory().join("spec.json")).unwrap()).unwrap();
    assert_eq!((&spec["run_id"], &spec["version"]), (&json!(run.id), &json!(1)));
    assert_eq!(mode(&run.directory().join("spec.json")), 0o600);
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
    assert_eq!(mode(&lattice.join(format!("logs/workers/{}.json", run.id))), 0o600);
}

#[test]
fn supervisors_are_small_and_stand_in_nobodys_way() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    for process in [&shim, &warden] {
        let path = |name: &str| format!("/proc/{}/{name}", process.pid);
        let status = fs::read_to_string(path("status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(number("Threads:"), 1);
        assert!(number("RssAnon:") <= 512, "{} kB of private memory", number("RssAnon:"));
        assert_eq!(
            fs::read_link(path("cwd")).unwrap(),
            sandbox.lattice_dir(),
            "not in what will be removed"
        );
        let adjustment =
            |pid: i32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        let number = |text: String| text.trim().parse::<i32>().unwrap();
        let (ours, engine) = (number(adjustment(process.pid)), number(adjustment(main.pid)));
        assert!(ours < engine, "the OOM killer takes the engine first: {ours} {engine}");
    }
    main.tell("exit 0");
    run.ended();
}

#[test]
fn an_agents_sandbox_is_told_from_an_ordinary_place() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    for variable in ["CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"] {
        let before = sandbox.tree();
        let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]).env(variable, "1");
        call.run().silent().refused(1, "SANDBOXED");
        sandbox.assert_unchanged(&before);
    }
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn s11_a_stop_before_anything_has_begun_is_heard() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&["connect=main", "sleep-forever"]), "worktree": true}),
    );
    for _ in 0..5 {
        let run = sandbox.start("Work");
        let stopped = sandbox.lattice(["worker", "stop", &run.id]).run().ok();
        assert!(stopped.elapsed < Duration::from_secs(10), "{stopped}");
        assert_eq!(run.terminal().expect("the end is told")["data"]["reason"], "stopped");
    }
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 5);
}
