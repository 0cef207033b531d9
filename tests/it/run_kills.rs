//! SIGKILL and SIGSTOP of the supervisors while the engine works: one true end, and nothing is left.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::SOON;

/// What the warden promises for a small tree.
const PROMPT: Duration = Duration::from_secs(1);

fn sandbox_with_daemons() -> Sandbox {
    let sandbox = Sandbox::new();
    let steps = ["spawn-setsid=a", "spawn-double-fork=b", "spawn-nohup=c", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    sandbox
}

fn engine(sandbox: &Sandbox) -> [Peer; 4] {
    ["main", "a", "b", "c"].map(|name| sandbox.socket.peer(name))
}

#[track_caller]
fn assert_killed(sandbox: &Sandbox, end: &Value, reason: &str, ended_by: &str) {
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["ended_by"]),
        (&json!(reason), &json!(ended_by)),
        "{end}"
    );
    assert_eq!(end["data"]["exit_code"], Value::Null, "no status is made up: {end}");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    // A second look is a look at nothing.
    let reaped = sandbox.lattice(["worker", "reap", "--json"]).run().ok().data();
    assert_eq!(reaped, json!([]));
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn a_killed_shim_is_finished_by_its_warden_at_once() {
    // A promise in seconds is measured on a machine that does other things too: the best of three counts.
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let sandbox = sandbox_with_daemons();
        let run = sandbox.start("Work");
        let peers = engine(&sandbox);
        let (shim, _) = run.supervisors(&peers[0]);
        let killed = Instant::now();
        shim.kill();
        let end = run.ended();
        best = best.min(killed.elapsed());
        assert!(peers.iter().all(|peer| peer.is_dead()), "dead before the end is told");
        assert_eq!(end["data"]["signal"], 9);
        assert_killed(&sandbox, &end, "supervisor_killed", "warden");
        if best <= PROMPT {
            return;
        }
    }
    panic!("the terminal event came after {best:?}");
}

#[test]
fn an_engine_that_kills_its_supervisor_kills_itself() {
    let sandbox = Sandbox::new();
    let steps =
        ["spawn-setsid=daemon", "connect=main", "wait", "kill-parent=KILL", "sleep-forever"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let run = sandbox.start("Work");
    let daemon = sandbox.socket.peer("daemon");
    // Kept to the end: a fake whose test lets go of it ends by itself.
    let main = sandbox.socket.peer("main");
    main.tell("go");
    let end = run.ended();
    assert!(daemon.is_dead() && main.is_dead());
    assert_killed(&sandbox, &end, "supervisor_killed", "warden");
}

#[test]
fn a_killed_warden_is_not_missed() {
    let sandbox = sandbox_with_daemons();
    let run = sandbox.start("Work");
    let peers = engine(&sandbox);
    let (shim, warden) = run.supervisors(&peers[0]);
    warden.kill();
    warden.wait_dead(Duration::from_secs(5));
    assert!(
        !shim.dies_within(Duration::from_millis(200)) && !peers[0].is_dead(),
        "the run goes on"
    );
    peers[0].tell("exit 3");
    let end = run.ended();
    assert_eq!((&end["data"]["reason"], &end["data"]["exit_code"]), (&json!("exited"), &json!(3)));
    assert_eq!((&end["data"]["ended_by"], &end["data"]["swept"]), (&json!("shim"), &json!(3)));
    assert!(peers.iter().all(|peer| peer.is_dead()));
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn when_both_are_killed_the_next_worker_call_ends_the_run() {
    for call in [
        &["worker", "ps"][..],
        &["worker", "reap"],
        &["worker", "list"],
        &["list"],
        &["show", "LAT-1"],
    ] {
        let sandbox = sandbox_with_daemons();
        let run = sandbox.start("Work");
        let peers = engine(&sandbox);
        run.lose_supervisors(&peers[0]);
        assert!(run.terminal().is_none());
        assert!(!peers[1].is_dead(), "only the call can find the daemons");
        sandbox.lattice(call).run().ok();
        let end = run.ended();
        assert!(peers.iter().all(|peer| peer.is_dead()), "dead before the end is told");
        assert_killed(&sandbox, &end, "supervisor_lost", "reaper");
    }
}

#[test]
fn when_both_are_killed_the_worker_can_be_started_again() {
    let sandbox = sandbox_with_daemons();
    let first = sandbox.start("Work");
    let peers = engine(&sandbox);
    first.lose_supervisors(&peers[0]);
    let second = sandbox.start("Work");
    assert_eq!(first.ended()["data"]["reason"], "supervisor_lost");
    engine(&sandbox)[0].tell("exit 0");
    assert_eq!(second.ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn many_reapers_write_one_end() {
    let sandbox = sandbox_with_daemons();
    let run = sandbox.start("Work");
    run.lose_supervisors(&engine(&sandbox)[0]);
    let calls: Vec<_> =
        (0..8).map(|_| sandbox.lattice(["worker", "reap", "--json"]).start()).collect();
    for call in calls {
        call.finish().ok();
    }
    assert_killed(&sandbox, &run.ended(), "supervisor_lost", "reaper");
}

#[test]
fn s21_a_daemon_without_environment_is_found_by_the_pipe_it_holds() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["spawn-env-i=daemon", "connect=main", "wait"]);
    let run = sandbox.start("Work");
    let (main, daemon) = (sandbox.socket.peer("main"), sandbox.socket.peer("daemon"));
    run.lose_supervisors(&main);
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert!(daemon.is_dead());
    assert_killed(&sandbox, &run.ended(), "supervisor_lost", "reaper");
}

#[test]
fn s8_a_bystander_is_not_touched() {
    let sandbox = sandbox_with_daemons();
    // In the project's directory, with the user's environment, and not of the run.
    let bystander = sandbox.start_fake(&["connect=bystander", "wait"]);
    let peer = sandbox.socket.peer("bystander");
    let run = sandbox.start("Work");
    run.lose_supervisors(&engine(&sandbox)[0]);
    sandbox.lattice(["worker", "reap"]).run().ok();
    run.ended();
    assert!(!peer.is_dead());
    peer.tell("exit 0");
    bystander.finish().ok();
    sandbox.assert_clean();
}

#[test]
fn a_term_to_a_supervisor_stops_the_run_in_order() {
    for to_warden in [true, false] {
        let sandbox = sandbox_with_daemons();
        let run = sandbox.start("Work");
        let peers = engine(&sandbox);
        let (shim, warden) = run.supervisors(&peers[0]);
        if to_warden { &warden } else { &shim }.signal(Signal::TERM);
        let end = run.ended();
        assert_eq!(
            (&end["type"], &end["data"]["reason"]),
            (&json!("process_failed"), &json!("stopped")),
            "{end}"
        );
        assert!(peers.iter().all(|peer| peer.is_dead()));
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

#[test]
fn s12_a_worker_killed_in_its_setup_leaves_nothing() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["connect=setup", "wait"]);
    let definition = json!({"command": "true", "setup": [line], "worktree": true});
    sandbox.worker("Work", definition);
    let run = sandbox.start("Work");
    let setup = sandbox.socket.peer("setup");
    // The shell of the setup command may stand between; the warden is what the call has named.
    let warden =
        crate::harness::process::Process::open(run.started["pid"].as_i64().unwrap() as i32)
            .unwrap();
    let mut shim = setup.parent();
    while shim.parent().pid != warden.pid {
        shim = shim.parent();
    }
    shim.kill();
    let end = run.ended();
    assert!(setup.is_dead());
    assert_killed(&sandbox, &end, "supervisor_killed", "warden");
}

#[test]
fn s3_a_stopped_shim_does_not_stop_the_clock() {
    let sandbox = Sandbox::new();
    sandbox.configure("workers", json!({"end_limit_seconds": 1}));
    let steps = ["spawn-setsid=a", "spawn-double-fork=b", "spawn-nohup=c", "connect=main", "wait"];
    let limits = json!({"command": sandbox.fake(&steps), "worktree": true, "timeout_minutes": 0.02, "grace_seconds": 0.5});
    sandbox.worker("Work", limits);
    let run = sandbox.start("Work");
    let peers = engine(&sandbox);
    let (shim, warden) = run.supervisors(&peers[0]);
    shim.signal(Signal::STOP);
    let end = run.ended();
    assert!(peers.iter().all(|peer| peer.is_dead()));
    assert!(shim.is_dead(), "a stopped process can be killed");
    warden.wait_dead(SOON);
    assert_eq!(
        (&end["type"], &end["data"]["ended_by"]),
        (&json!("process_failed"), &json!("warden")),
        "{end}"
    );
    let reason = end["data"]["reason"].as_str().unwrap();
    assert!(["timed_out", "supervisor_killed"].contains(&reason), "{end}");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn a_shim_that_is_stopped_for_a_while_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "timeout_minutes": 0.02}),
    );
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    shim.signal(Signal::STOP);
    // Past the deadline, and before the warden's patience ends.
    assert!(!main.dies_within(Duration::from_millis(2000)));
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert!(run.terminal().is_none() && !main.is_dead(), "nobody reaps what is only stopped");
    shim.signal(Signal::CONT);
    let end = run.ended();
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["ended_by"]),
        (&json!("timed_out"), &json!("shim"))
    );
    sandbox.assert_clean();
}
