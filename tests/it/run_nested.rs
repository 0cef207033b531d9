//! Runs that a run starts: they are no part of it, and there is an end to nesting.

use serde_json::json;

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

#[test]
fn f7_a_run_started_inside_a_run_outlives_it() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Inner",
        json!({"command": sandbox.fake(&["connect=inner", "wait"]), "worktree": true}),
    );
    sandbox.worker(
        "Outer",
        json!({"command": "lattice worker run Inner $LATTICE_TASK_ID", "worktree": true}),
    );
    let outer = sandbox.start("Outer");
    let inner = sandbox.socket.peer("inner");
    let end = outer.ended();
    assert_eq!(end["type"], "process_completed", "{}", outer.log());
    assert_eq!(end["data"]["swept"], 0, "the inner run was not swept");
    assert!(!inner.is_dead());
    inner.tell("exit 3");
    eventually("the inner run has ended", SOON, || {
        let ends: Vec<_> =
            sandbox.runs_of(&sandbox.task).into_values().flat_map(|(_, ends)| ends).collect();
        let of_inner = ends.iter().find(|end| end["data"]["process_type"] == "Inner");
        of_inner
            .map(|end| assert_eq!(end["data"]["exit_code"], 3, "{end}"))
            .ok_or_else(|| format!("{ends:?}"))
    });
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn f7_the_outer_runs_daemons_die_and_the_inner_run_does_not() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Inner", &["spawn-setsid=inner-daemon", "connect=inner", "wait"]);
    let script = format!(
        "lattice worker run Inner $LATTICE_TASK_ID && exec {}",
        sandbox.fake_line(&["spawn-setsid=outer-daemon", "connect=outer", "wait"])
    );
    sandbox.worker("Outer", json!({"command": script}));
    let outer = sandbox.start("Outer");
    let [inner, inner_daemon, outer_main, outer_daemon] =
        ["inner", "inner-daemon", "outer", "outer-daemon"].map(|name| sandbox.socket.peer(name));
    // The outer supervisors die with their engine; what they leave is ended by a reaper, which must not be fooled.
    outer.lose_supervisors(&outer_main);
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(outer.ended()["data"]["reason"], "supervisor_lost");
    assert!(outer_daemon.is_dead() && !inner.is_dead() && !inner_daemon.is_dead());
    inner.tell("exit 0");
    inner_daemon.wait_dead(SOON);
    sandbox.assert_clean();
    eventually("both runs have one end", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        if runs.values().all(|(_, ends)| ends.len() == 1) {
            Ok(())
        } else {
            Err(format!("{runs:?}"))
        }
    });
}

#[test]
fn nesting_has_a_limit() {
    let sandbox = Sandbox::new();
    let script = "lattice worker run Self $LATTICE_TASK_ID --json; lattice worker run Deeper $LATTICE_TASK_ID --json; \
                  lattice worker run Deepest $LATTICE_TASK_ID --json; true";
    for name in ["Self", "Deeper", "Deepest"] {
        sandbox.worker(name, json!({"command": script}));
    }
    sandbox.start("Self");
    eventually("all runs have ended", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        let done = runs.len() >= 2
            && runs.values().all(|(_, ends)| ends.len() == 1)
            && sandbox.processes().is_empty();
        if done { Ok(()) } else { Err(format!("{} runs", runs.len())) }
    });
    let logs = sandbox.sh("cat .lattice/logs/workers/*.log").stdout;
    assert!(logs.contains("NESTING_LIMIT"), "{logs}");
    sandbox.assert_clean();
    sandbox.assert_runs_ended();
}

#[test]
fn f7_a_runs_own_markers_replace_those_of_the_outer_run() {
    let sandbox = Sandbox::new();
    let dump = sandbox.base.join("env").display().to_string();
    sandbox.fake_worker("Inner", &[&format!("env-dump={dump}"), "connect=inner", "wait"]);
    sandbox.worker(
        "Outer",
        json!({"command": "lattice worker run Inner $LATTICE_TASK_ID", "worktree": true}),
    );
    let outer = sandbox.start("Outer");
    let inner = sandbox.socket.peer("inner");
    let environment = fs_err::read_to_string(dump).unwrap();
    assert!(!environment.contains(&outer.id), "{environment}");
    assert!(!environment.contains("LATTICE_WORKTREE="), "the inner run has none: {environment}");
    assert!(environment.contains("\nLATTICE_WORKER=Inner\n"), "{environment}");
    inner.tell("exit 0");
    outer.ended();
    sandbox.assert_clean();
}

#[test]
fn a_start_that_is_too_deep_is_refused_before_anything() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    let before = (sandbox.events(), sandbox.tree());
    let call = || sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    for depth in ["2", "3", "4294967295"] {
        let error = call().env("LATTICE_DEPTH", depth).run().refused(1, "NESTING_LIMIT");
        assert!(error["hint"].as_str().unwrap().contains("outside"), "{error}");
    }
    assert_eq!(sandbox.events(), before.0);
    sandbox.assert_unchanged(&before.1);
    let started = call().env("LATTICE_DEPTH", "1").run().ok().data();
    assert_eq!(sandbox.run_of(&started).ended()["type"], "process_completed");
    sandbox.assert_clean();
}
