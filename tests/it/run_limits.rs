//! `limits` and `nice`: each limit that is hit is told as such and leaves nobody, and no supervisor is held to it.

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::process::{Process, stat_field};
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

/// What 0.01 minutes are.
const SPENT: &str =
    "its processes used up the 600ms of processor time that its definition allows and were ended";
const LONG: &str = "60000";

#[track_caller]
fn assert_limit(end: &Value, reason: &str, class: &str, error: &str) {
    let data = &end["data"];
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!((&data["reason"], &data["class"]), (&json!(reason), &json!(class)), "{end}");
    assert_eq!(data["error"], error, "{end}");
}

/// Soft and hard limit of a process, as the kernel shows them.
fn kernel_limits(pid: i32, name: &str) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a limit of that name");
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

fn both(number: u64) -> (String, String) {
    (number.to_string(), number.to_string())
}

#[test]
fn memory_that_a_child_in_its_own_session_takes() {
    let sandbox = Sandbox::new();
    let child = sandbox.fake_line(&["allocate=200", "connect=child", "wait"]);
    let definition =
        json!({"command": format!("setsid {child} & wait"), "limits": {"memory_mb": 100}});
    sandbox.worker("Hungry", definition);
    let end = sandbox.run_to_end("Hungry");
    let error = "its processes used more than the 100 MB that its definition allows and were ended";
    assert_limit(&end, "memory_limit", "memory", error);
    sandbox.assert_clean();
}

#[test]
fn more_processes_than_are_allowed() {
    let sandbox = Sandbox::new();
    let definition = json!({"command": sandbox.fake(&["multiply=7"]), "worktree": true, "limits": {"processes": 30}});
    sandbox.worker("Many", definition);
    let end = sandbox.run_to_end("Many");
    let error = "it ran more than the 30 processes that its definition allows, threads counted, and was ended";
    assert_limit(&end, "process_limit", "limit", error);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn as_many_processes_as_are_allowed() {
    let sandbox = Sandbox::new();
    let steps = ["spawn-setsid=a", "spawn-child=b", "connect=main", "wait"];
    let definition = json!({"command": sandbox.fake(&steps), "limits": {"processes": 3}});
    sandbox.worker("Few", definition);
    let run = sandbox.start("Few");
    let peers = ["a", "b", "main"].map(|name| sandbox.socket.peer(name));
    assert!(!peers[2].dies_within(std::time::Duration::from_secs(1)));
    peers[2].tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

/// Whoever uses it: a child that runs, children that were waited for, orphans that were not.
#[test]
fn processor_time_of_all_processes_together() {
    let sandbox = Sandbox::new();
    let (busy, short) = (format!("burn={LONG}"), "burn=50");
    let busy = sandbox.fake_line(&["setsid", &busy]);
    let (short, orphan) = (sandbox.fake_line(&[short]), sandbox.fake_line(&["background", short]));
    for (name, script) in [
        ("Busy", format!("{busy} & wait")),
        ("Serial", format!("while :; do {short}; done")),
        ("Orphans", format!("while :; do {orphan}; sleep 0.05; done")),
    ] {
        let definition =
            json!({"command": script, "grace_seconds": 1, "limits": {"cpu_minutes": 0.01}});
        sandbox.worker(name, definition);
        let end = sandbox.run_to_end(name);
        assert_limit(&end, "cpu_limit", "limit", SPENT);
        assert!(end["data"]["cpu_seconds"].as_f64().unwrap() > 0.5, "{end}");
        sandbox.assert_clean();
    }
}

/// One limit that is hit is told as such, and not as a setup that has failed.
#[test]
fn setup_commands_are_held_to_the_limits_too() {
    let sandbox = Sandbox::new();
    let limits = json!({"cpu_minutes": 0.01, "open_files": 64, "file_size_mb": 2});
    for (reason, steps, key, value) in [
        ("memory_limit", ["allocate=200", "sleep-forever"], "memory_mb", json!(100)),
        ("process_limit", ["multiply=4", ""], "processes", json!(10)),
        ("cpu_limit", [&format!("burn={LONG}"), ""], "cpu_minutes", json!(0.01)),
    ] {
        let line = sandbox.fake_line(&steps);
        sandbox
            .worker("Greedy", json!({"command": "true", "setup": [line], "limits": {key: value}}));
        let end = sandbox.run_to_end("Greedy");
        assert_eq!(end["data"]["reason"], reason, "{end}");
        // The command is long, and a sentence has at most 200 characters.
        assert!(end["data"]["error"].as_str().unwrap().starts_with("setup `"), "{end}");
    }

    let path = sandbox.base.join("seen");
    let look = format!(
        "cp /proc/self/limits {0} && cut -d' ' -f19 /proc/self/stat >> {0}",
        path.display()
    );
    sandbox
        .worker("Look", json!({"command": "true", "setup": [look], "limits": limits, "nice": 3}));
    assert_eq!(sandbox.run_to_end("Look")["type"], "process_completed");
    let seen = fs::read_to_string(&path).unwrap();
    let own = stat_field(std::process::id().cast_signed(), 19).unwrap().parse::<i32>().unwrap();
    assert!(seen.ends_with(&format!("\n{}\n", own + 3)), "{seen}");
    let files = seen.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_ascii_whitespace().filter(|word| *word == "64").count(), 2, "{files}");

    for (reason, command) in
        [("cpu_limit", "kill -XCPU $$"), ("file_size_limit", "head -c 3000000 /dev/zero > big")]
    {
        sandbox.worker(
            "Hit",
            json!({"command": "true", "setup": [command], "limits": limits, "worktree": true}),
        );
        let end = sandbox.run_to_end("Hit");
        assert_eq!(end["data"]["reason"], reason, "{end}");
        assert!(
            end["data"]["error"].as_str().unwrap().starts_with(&format!("setup `{command}`: it")),
            "{end}"
        );
    }
    sandbox.assert_clean();
}

/// Nobody looks while the shim is stopped, and then the kernel speaks.
#[test]
fn the_kernel_stands_behind_a_supervisor_that_is_stopped() {
    let sandbox = Sandbox::new();
    let steps = ["connect=main", "wait", &format!("burn={LONG}")];
    sandbox
        .worker("Busy", json!({"command": sandbox.fake(&steps), "limits": {"cpu_minutes": 0.01}}));
    let run = sandbox.start("Busy");
    let main = sandbox.socket.peer("main");
    assert_eq!(kernel_limits(main.pid, "Max cpu time"), ("1".to_owned(), "6".to_owned()));
    let (shim, _) = run.supervisors(&main);
    shim.signal(Signal::STOP);
    main.tell("go");
    main.wait_dead(SOON);
    shim.signal(Signal::CONT);
    let end = run.ended();
    assert_limit(&end, "cpu_limit", "limit", SPENT);
    assert_eq!(end["data"]["signal"], 24);
    sandbox.assert_clean();
}

/// The kernel tells of it with a signal; who does not die of it has an error to show.
#[test]
fn a_file_that_is_too_long() {
    let sandbox = Sandbox::new();
    let fill = format!("fill=3000000:{}", sandbox.base.join("big").display());
    let limits = json!({"file_size_mb": 2});
    let error =
        "it wrote a file longer than the 2 MB that its definition allows, and the kernel ended it";
    sandbox.worker("Long", json!({"command": sandbox.fake(&[&fill]), "limits": limits}));
    let end = sandbox.run_to_end("Long");
    assert_limit(&end, "file_size_limit", "limit", error);
    assert_eq!(end["data"]["signal"], 25);
    // A shell hands the signal on as a status.
    let line = sandbox.fake_line(&[&fill]);
    sandbox.worker("Shell", json!({"command": format!("{line}; exit $?"), "limits": limits}));
    let end = sandbox.run_to_end("Shell");
    assert_limit(&end, "file_size_limit", "limit", error);
    assert_eq!(end["data"]["exit_code"], 153);
    assert_eq!(fs::metadata(sandbox.base.join("big")).unwrap().len(), 2 << 20);

    let deaf = sandbox.fake(&["ignore=XFSZ", &fill]);
    sandbox.worker("Deaf", json!({"command": deaf, "limits": limits}));
    let error = "exited 97; its limit of 2 MB for a file was perhaps in its way: see its log";
    assert_limit(&sandbox.run_to_end("Deaf"), "exited", "limit", error);
    sandbox.assert_clean();
}

#[test]
fn too_many_open_files() {
    let sandbox = Sandbox::new();
    let leak = format!("leak-fds=100:{}", sandbox.base.join("file").display());
    fs::write(sandbox.base.join("file"), "").unwrap();
    sandbox
        .worker("Open", json!({"command": sandbox.fake(&[&leak]), "limits": {"open_files": 64}}));
    let error = "exited 97; its limit of 64 open files was perhaps in its way: see its log";
    assert_limit(&sandbox.run_to_end("Open"), "exited", "limit", error);
    // Nothing of the kind is said where nothing failed, or where there is no such limit.
    let words = "echo Too many open files; exit";
    sandbox.worker("Fine", json!({"command": format!("{words} 0"), "limits": {"open_files": 64}}));
    assert_eq!(sandbox.run_to_end("Fine")["data"]["result"], "exited 0");
    sandbox.worker("Free", json!({"command": format!("{words} 1")}));
    assert_eq!(sandbox.run_to_end("Free")["data"]["error"], "exited 1");
    sandbox.assert_clean();
}

/// The caller's own limits are told for what they are.
#[test]
fn a_limit_that_the_definition_has_not_set() {
    let sandbox = Sandbox::new();
    sandbox.worker("Mine", json!({"command": "kill -XCPU $$", "log_tail": false}));
    let error = "it used more processor time than `limits.cpu_minutes` or `ulimit -t` allows";
    assert_limit(&sandbox.run_to_end("Mine"), "cpu_limit", "limit", error);
    sandbox.worker("Status", json!({"command": "exit 152"}));
    let end = sandbox.run_to_end("Status");
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["error"]),
        (&json!("exited"), &json!("exited 152"))
    );
}

#[test]
fn engine_and_children_are_held_to_them_and_supervisors_are_not() {
    let sandbox = Sandbox::new();
    let definition = json!({
        "command": sandbox.fake(&["spawn-setsid=child", "connect=main", "wait"]), "worktree": true, "nice": 5,
        "limits": {"open_files": 100, "file_size_mb": 3, "cpu_minutes": 2, "processes": 50, "memory_mb": 500},
    });
    sandbox.worker("Held", definition);
    let run = sandbox.start("Held");
    let [main, child] = ["main", "child"].map(|name| sandbox.socket.peer(name));
    let own = std::process::id().cast_signed();
    let niceness = |pid| stat_field(pid, 19).unwrap().parse::<i32>().unwrap();
    for pid in [main.pid, child.pid] {
        assert_eq!(niceness(pid), niceness(own) + 5);
        assert_eq!(kernel_limits(pid, "Max open files"), both(100));
        assert_eq!(kernel_limits(pid, "Max file size"), both(3 << 20));
        assert_eq!(kernel_limits(pid, "Max cpu time"), ("120".to_owned(), "125".to_owned()));
        assert_eq!(kernel_limits(pid, "Max processes"), kernel_limits(own, "Max processes"));
    }
    let (shim, warden) = run.supervisors(&main);
    for supervisor in [shim.pid, warden.pid] {
        assert_eq!(niceness(supervisor), niceness(own));
        for name in ["Max open files", "Max file size", "Max cpu time", "Max processes"] {
            assert_eq!(kernel_limits(supervisor, name), kernel_limits(own, name), "{name}");
        }
    }
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    let limits =
        json!({"processes": 50, "cpu_ms": 120_000, "open_files": 100, "file_size_bytes": 3 << 20});
    let spec = &run.record()["spec"];
    assert_eq!((&spec["limits"], &spec["nice"]), (&limits, &json!(5)));
    sandbox.assert_clean();
}

#[test]
fn a_lower_hard_limit_of_the_caller_holds_and_is_named() {
    let sandbox = Sandbox::new();
    let definition =
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "limits": {"open_files": 1000}});
    sandbox.worker("Open", definition);
    let held = ["bash", "-c", "ulimit -n 500; exec \"$@\"", "bash"];
    let note =
        "limits.open_files is 1000, and the hard limit here is 500 (ulimit -Hn), which holds";
    let answer =
        sandbox.lattice(["worker", "run", "Open", "LAT-1", "--json"]).through(held).run().ok();
    assert!(answer.stderr.contains(note) || answer.stdout.contains(note), "{answer}");
    let run = sandbox.run_of(&answer.data());
    let main = sandbox.socket.peer("main");
    assert_eq!(kernel_limits(main.pid, "Max open files"), both(500));
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    let checked = sandbox.lattice(["worker", "check", "Open"]).through(held).run();
    assert!(
        checked.stdout.contains(note) && checked.stdout.contains("systemd.exec(5)"),
        "{checked}"
    );
    let checked = sandbox.lattice(["worker", "check", "Open"]).run();
    assert!(!checked.stdout.contains("limits.open_files"), "{checked}");
}

/// Looking costs a core a twentieth at most, however many there are to look at.
#[test]
fn a_supervisor_of_a_big_tree_hardly_works() {
    let sandbox = Sandbox::new();
    // Twice 127 processes, and a shell.
    let tree = sandbox.fake_line(&["setsid", "multiply=6"]);
    let main = sandbox.fake_line(&["connect=main", "wait"]);
    let limits = json!({"processes": 1000, "cpu_minutes": 100, "memory_mb": 100_000});
    sandbox
        .worker("Big", json!({"command": format!("{tree} & {tree} & {main}"), "limits": limits}));
    let run = sandbox.start("Big");
    let main = sandbox.socket.peer("main");
    let cookie = format!("LATTICE_STARTED_EVENT_ID={}", run.id);
    eventually("all of the tree are there", SOON, || {
        let count = crate::harness::process::carrying(&cookie).len();
        if count >= 250 { Ok(()) } else { Err(format!("{count} processes")) }
    });
    let shim = main.ancestor(" shim ");
    let spent = |process: &Process| -> u64 {
        [14, 15]
            .iter()
            .map(|field| stat_field(process.pid, *field).unwrap().parse::<u64>().unwrap())
            .sum()
    };
    let (before, begin) = (spent(&shim), std::time::Instant::now());
    assert!(!main.dies_within(std::time::Duration::from_secs(3)));
    let share = (spent(&shim) - before) as f64 / 100.0 / begin.elapsed().as_secs_f64();
    println!("with 255 processes the shim takes {:.1} % of a core", share * 100.0);
    assert!(share < 0.08, "{share}");
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
}
