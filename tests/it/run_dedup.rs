//! One worker runs once at a time on one task, however many callers there are.

use serde_json::json;

use crate::harness::sandbox::Sandbox;

#[test]
fn of_sixteen_simultaneous_calls_one_starts() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Once",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let calls: Vec<_> = (0..16)
        .map(|_| sandbox.lattice(["worker", "run", "Once", "LAT-1", "--json"]).start())
        .collect();
    let finished: Vec<_> = calls.into_iter().map(crate::harness::call::Running::finish).collect();
    let (started, refused): (Vec<_>, Vec<_>) =
        finished.into_iter().partition(|call| call.code == Some(0));
    assert_eq!(started.len(), 1, "{}", refused.iter().map(ToString::to_string).collect::<String>());
    let run = sandbox.run_of(&started[0].data());
    for call in refused {
        let error = call.silent().refused(3, "ALREADY_RUNNING");
        assert!(error["message"].as_str().unwrap().contains("Once"), "{error}");
    }
    let main = sandbox.socket.peer("main");
    assert!(sandbox.socket.others().is_empty(), "one engine");
    let left: Vec<_> =
        sandbox.traces().into_iter().filter(|trace| !trace.starts_with("process")).collect();
    assert_eq!(left.len(), 4, "one run, one worktree, one entry: {left:#?}");
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn the_name_is_one_name_in_any_case() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Once", &["connect=main", "wait"]);
    let run = sandbox.start("once");
    let main = sandbox.socket.peer("main");
    sandbox
        .lattice(["worker", "run", "ONCE", &sandbox.task, "--json"])
        .run()
        .refused(3, "ALREADY_RUNNING");
    main.tell("exit 0");
    assert_eq!(run.ended()["data"]["process_type"], "Once");
}

#[test]
fn other_workers_and_other_tasks_are_not_in_the_way() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("One", &["connect=one", "wait"]);
    sandbox.fake_worker("Two", &["connect=two", "wait"]);
    let other = sandbox.create("Second");
    let first = sandbox.start("One");
    let second = sandbox.start("Two");
    let one = sandbox.socket.peer("one");
    let elsewhere = sandbox.lattice(["worker", "run", "One", &other, "--json"]).run().ok().data();
    let third = sandbox.run_of(&elsewhere);
    for peer in [one, sandbox.socket.peer("two"), sandbox.socket.peer("one")] {
        peer.tell("exit 0");
    }
    for run in [first, second, third] {
        assert_eq!(run.ended()["type"], "process_completed");
    }
    sandbox.assert_clean();
}

#[test]
fn the_same_worker_can_be_started_as_soon_as_the_end_is_told() {
    let sandbox = Sandbox::new();
    sandbox.worker("Again", json!({"command": "true", "worktree": true}));
    for _ in 0..5 {
        let run = sandbox.start("Again");
        run.ended();
    }
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 5);
}

#[test]
fn what_the_snapshot_claims_does_not_block() {
    let sandbox = Sandbox::new();
    sandbox.worker("Again", json!({"command": "true"}));
    sandbox.run_to_end("Again");
    // The snapshot is written behind the line.
    sandbox.assert_clean();
    let path = sandbox.lattice_dir().join(format!("tasks/{}.json", sandbox.task));
    let mut snapshot: serde_json::Value =
        serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    assert!(
        snapshot.get("active_processes").is_none(),
        "the key is there only while a run is open"
    );
    // As a late write of the Python tool brings it back.
    snapshot["active_processes"] = json!([{
        "actor": "agent:worker", "commit_sha": "unknown", "process_type": "Again", "timeout_minutes": 10,
        "started_at": "2026-01-01T00:00:00Z", "started_event_id": "ev_01JABCDEFGHJKMNPQRSTVWXYZ0",
    }]);
    fs_err::write(&path, serde_json::to_vec(&snapshot).unwrap()).unwrap();
    sandbox.run_to_end("Again");
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn with_once_a_commit_is_had_once_whatever_became_of_it() {
    let sandbox = Sandbox::new();
    sandbox.worker("Once", json!({"command": "exit 3", "worktree": true}));
    let first = sandbox.start_with("Once", &["--once"]);
    assert_eq!(first.ended()["type"], "process_failed");
    sandbox.assert_clean();
    let again = || sandbox.lattice(["worker", "run", "once", "LAT-1", "--once", "--json"]);
    let (events, tree) = (sandbox.events(), sandbox.tree());
    for call in [again(), again().arg("--dry-run")] {
        let error = call.run().refused(1, "CONFLICT");
        assert_eq!(error["run"], first.id, "{error}");
    }
    assert_eq!(sandbox.events(), events);
    sandbox.assert_unchanged(&tree);
    // Another commit, another task, or nothing said of once.
    let other = sandbox.create("Second task");
    sandbox.lattice(["worker", "run", "Once", &other, "--once", "--wait"]).run().exits(4);
    sandbox.start("Once").ended();
    sandbox.commit("More");
    sandbox.start_with("Once", &["--once"]).ended();
    assert_eq!(sandbox.assert_runs_ended(), 3);
}

/// The second has looked, and waits for its supervisor, while the first starts and ends.
#[test]
fn with_once_it_is_the_look_under_the_locks_that_counts() {
    let sandbox = Sandbox::new();
    sandbox.worker("Once", json!({"command": "true", "worktree": true}));
    let (lattice, shim) = crate::run_start::slow_supervisor(&sandbox);
    let words = [lattice.as_str(), "worker", "run", "Once", "LAT-1", "--once", "--json"];
    let second = sandbox.program(words).env("LATTICE_SHIM", shim).start();
    let slow = sandbox.socket.peer("slow");
    let first = sandbox.start_with("Once", &["--once"]);
    first.ended();
    slow.tell("go");
    let error = second.finish().refused(1, "CONFLICT");
    assert_eq!(error["run"], first.id, "{error}");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}
