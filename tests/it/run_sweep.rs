//! What a run's processes leave behind when they end by themselves: found however it hides, asked, then killed.

use serde_json::json;

use crate::harness::sandbox::Sandbox;
use crate::run_outcomes::assert_facts;

#[test]
fn daemons_of_every_kind_are_swept_after_a_clean_exit() {
    let sandbox = Sandbox::new();
    let kinds = ["child", "setsid", "double-fork", "nohup", "env-i", "unseen"];
    let spawn = kinds.map(|kind| format!("spawn-{kind}={kind}"));
    let steps: Vec<&str> =
        spawn.iter().map(String::as_str).chain(["connect=main", "wait"]).collect();
    sandbox.worker("Parent", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let run = sandbox.start("Parent");
    let peers = kinds.map(|name| sandbox.socket.peer(name));
    sandbox.socket.peer("main").tell("exit 0");
    let end = run.ended();
    assert!(peers.iter().all(|peer| peer.is_dead()), "dead before the end is told");
    assert_eq!(end["type"], "process_completed", "{end}");
    assert_eq!(end["data"]["swept"], 6);
    assert_facts(&sandbox, &end);
}

#[test]
fn daemons_that_ignore_term_are_swept_too() {
    let sandbox = Sandbox::new();
    let steps = ["ignore=TERM", "spawn-setsid=a", "spawn-env-i=b", "connect=main", "wait"];
    sandbox.fake_worker("Parent", &steps);
    let run = sandbox.start("Parent");
    let peers = ["a", "b"].map(|name| sandbox.socket.peer(name));
    sandbox.socket.peer("main").tell("exit 0");
    let end = run.ended();
    assert!(peers.iter().all(|peer| peer.is_dead()));
    assert_eq!((&end["type"], &end["data"]["swept"]), (&json!("process_completed"), &json!(2)));
    assert_facts(&sandbox, &end);
}

#[test]
fn s22_what_is_swept_is_asked_first() {
    let sandbox = Sandbox::new();
    let daemon = "trap 'echo cleaned up; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let script = format!(
        "setsid bash -c \"{daemon}\" > daemon.out & until grep -q ready daemon.out; do sleep 0.01; done"
    );
    sandbox.worker("Parent", json!({"command": script, "worktree": true}));
    let end = sandbox.run_to_end("Parent");
    let saved = format!("{}:daemon.out", end["data"]["preserved_ref"].as_str().unwrap());
    assert_eq!(sandbox.git(["show", &saved]), "ready\ncleaned up");
    assert_facts(&sandbox, &end);
}

#[test]
fn a_process_that_never_stands_still_is_caught() {
    let sandbox = Sandbox::new();
    let switch = sandbox.base.join("hop");
    fs_err::write(&switch, "").unwrap();
    let hop = format!("hop={}", switch.display());
    let line =
        format!("for i in 1 2 3 4; do {} & done; wait", sandbox.fake_line(&["setsid", &hop]));
    sandbox.worker("Hopper", json!({"command": line}));
    let run = sandbox.start("Hopper");
    let end = run.ended();
    let left = sandbox.processes();
    fs_err::remove_file(&switch).unwrap();
    assert!(!left.iter().any(|line| line.contains("hop=")), "{left:#?}");
    assert_eq!(end["type"], "process_completed", "{end}");
    assert_facts(&sandbox, &end);
}

#[test]
fn s12_a_daemon_of_a_setup_command_is_swept() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["spawn-setsid=daemon", "connect=setup", "wait"]);
    let setup = json!([line]);
    let command = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Daemon", json!({"command": command, "setup": setup, "worktree": true}));
    let run = sandbox.start("Daemon");
    let daemon = sandbox.socket.peer("daemon");
    sandbox.socket.peer("setup").tell("exit 0");
    let main = sandbox.socket.peer("main");
    assert!(daemon.is_dead(), "before the engine starts");
    main.tell("exit 0");
    assert_facts(&sandbox, &run.ended());
}
