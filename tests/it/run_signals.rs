//! SIGTERM, SIGINT, SIGHUP and SIGQUIT, once and twice, to the warden, the shim and both, in every phase of a run,
//! which is held there: a stop before the worker's end, and nothing but the end itself after it.
//!
//! `LATTICE_TEST_CAMPAIGN=full` tries all of them; otherwise each phase and target once, with signals in turn.

use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::campaign;
use crate::harness::held::{self, Held, Hold};
use crate::harness::sandbox::Sandbox;
use crate::harness::strace;
use crate::harness::waiting::skipped;

const SIGNALS: [(Signal, &str); 4] = [
    (Signal::TERM, "SIGTERM"),
    (Signal::INT, "SIGINT"),
    (Signal::HUP, "SIGHUP"),
    (Signal::QUIT, "SIGQUIT"),
];

/// Stops that come closer together than this are one, because both supervisors may be told of it.
const NO_ECHO: Duration = Duration::from_millis(300);

/// What must come of it.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    /// The worker has not begun, and does not begin.
    Nothing,
    /// The worker is ended.
    Stopped,
    /// The worker's own end is told, and what it did is saved.
    Exited,
    /// The same for a worker that died with its supervisor.
    Killed,
}

struct Phase {
    name: &'static str,
    hold: Hold,
    outcome: Outcome,
}

const fn phase(name: &'static str, hold: Hold, outcome: Outcome) -> Phase {
    Phase { name, hold, outcome }
}

const fn at_setup(calls: &'static str, file: &'static str) -> Hold {
    Hold::Call { from: "setup", calls, file: Some(file) }
}

const fn at_end(calls: &'static str, file: &'static str) -> Hold {
    Hold::Call { from: "main", calls, file: Some(file) }
}

const RENAME: &str = "rename,renameat,renameat2";
const PUBLISH: &str = "link,linkat,rename,renameat,renameat2";

const BEFORE_THE_WORKER: &[Phase] = &[
    phase("the warden waits for the answer", Hold::Answer, Outcome::Nothing),
    phase("the hook of the start", Hold::Peer("hook-started"), Outcome::Nothing),
    phase("the checkout", Hold::Peer("checkout"), Outcome::Nothing),
    phase("the setup", Hold::Peer("setup"), Outcome::Nothing),
    phase("the gate is closed", at_setup(RENAME, "runs/RUN/engine.json"), Outcome::Nothing),
];

const WHILE_IT_BEGINS: &[Phase] = &[
    phase(
        "the shim has begun",
        Hold::Call { from: "answer", calls: "execve", file: None },
        Outcome::Nothing,
    ),
    phase(
        "the shim takes its seat",
        Hold::Call { from: "answer", calls: "openat", file: Some("runs/RUN/spec.json") },
        Outcome::Nothing,
    ),
];

const WHILE_IT_WORKS: &[Phase] = &[phase("the worker works", Hold::Peer("main"), Outcome::Stopped)];

const UP_TO_THE_RECORD: &[Phase] = &[
    phase(
        "E0, the sweep",
        Hold::Call { from: "main", calls: "pidfd_send_signal", file: None },
        Outcome::Exited,
    ),
    phase("E1, the box of words", at_end(PUBLISH, "runs/RUN/reported"), Outcome::Exited),
    phase("E1, the work", Hold::Peer("salvage"), Outcome::Exited),
    phase("E2, the record", at_end(PUBLISH, "runs/RUN/terminal.json"), Outcome::Exited),
];

const AFTER_THE_RECORD: &[Phase] = &[
    phase("E3, the line", at_end("write,pwrite64,writev", "events/TASK.jsonl"), Outcome::Exited),
    phase("E3, the snapshot", at_end(RENAME, "tasks/TASK.json"), Outcome::Exited),
    phase("E4, the worktree", at_end(RENAME, "worktrees/WORKTREE"), Outcome::Exited),
    phase("E5, the hooks", Hold::Peer("hook-failed"), Outcome::Exited),
    phase("E6, the kept record", at_end(RENAME, "logs/workers/RUN.json"), Outcome::Exited),
    phase("E6, the directory", at_end(RENAME, "runs/RUN"), Outcome::Exited),
];

const OF_THE_WARDEN: &[Phase] = &[
    phase("the warden closes the box", Hold::Warden(PUBLISH, "runs/RUN/reported"), Outcome::Killed),
    phase("the warden publishes", Hold::Warden(PUBLISH, "runs/RUN/terminal.json"), Outcome::Killed),
    phase("the warden clears", Hold::Warden(RENAME, "worktrees/WORKTREE"), Outcome::Killed),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Warden,
    Shim,
    Both,
}

/// One trial.
#[derive(Clone, Copy)]
struct Case {
    target: Target,
    signal: Signal,
    signal_name: &'static str,
    twice: bool,
}

/// Every signal once and twice for every target, or one of those.
fn cases(phase: &Phase, number: usize) -> Vec<Case> {
    let targets = match phase.hold {
        Hold::Answer | Hold::Warden(..) => &[Target::Warden][..],
        _ => &[Target::Warden, Target::Shim, Target::Both],
    };
    let count = 2 * SIGNALS.len();
    let full = campaign::is_full();
    let turns = |index| if full { 0..count } else { number * 3 + index..number * 3 + index + 1 };
    let case = |target, turn: usize| {
        let (signal, signal_name) = SIGNALS[turn % SIGNALS.len()];
        let twice = (turn % count / SIGNALS.len() + turn) % 2 == 1;
        Case { target, signal, signal_name, twice }
    };
    let numbered = targets.iter().enumerate();
    numbered.flat_map(|(index, &target)| turns(index).map(move |turn| case(target, turn))).collect()
}

fn strike(held: &Held<'_>, case: Case) {
    let shim = held.shim.as_ref().filter(|_| case.target != Target::Warden);
    let warden = Some(&held.warden).filter(|_| case.target != Target::Shim);
    let mut struck: Vec<_> = warden.into_iter().chain(shim).collect();
    if case.signal == Signal::INT || case.signal == Signal::QUIT {
        struck.reverse();
    }
    struck.iter().for_each(|process| process.signal(case.signal));
    if let Some(stopped) = &held.stopped {
        // The warden passes it on.
        stopped.wait_pending(case.signal, true);
        stopped.signal(Signal::CONT);
    }
    if case.twice {
        struck.iter().for_each(|process| process.wait_pending(case.signal, false));
        let worker = held.peers.last().filter(|peer| peer.name == "main" && held.stopped.is_none());
        if let Some(worker) = worker {
            assert!(!worker.dies_within(NO_ECHO), "one stop leaves the worker its time");
        }
        struck.iter().for_each(|process| process.signal(case.signal));
    }
}

fn try_case(sandbox: &Sandbox, phase: &Phase, case: Case) {
    let worker = if case.twice && phase.outcome == Outcome::Stopped { "Stubborn" } else { "Work" };
    let mut held = Held::reach(sandbox, &phase.hold, worker);
    strike(&held, case);
    if held.call.is_some() {
        held.answer();
    } else if phase.outcome == Outcome::Exited && held.stopped.is_none() {
        held.go_on();
    }
    let end =
        sandbox.run_of(&json!({"started_event_id": held.run, "task_id": sandbox.task})).ended();
    sandbox.assert_clean();
    let data = &end["data"];
    let reason = match phase.outcome {
        Outcome::Nothing | Outcome::Stopped => "stopped",
        Outcome::Exited => "exited",
        Outcome::Killed => "supervisor_killed",
    };
    assert_eq!(
        (&end["type"], &data["reason"]),
        (&json!("process_failed"), &json!(reason)),
        "{end}"
    );
    let asked = ["stopped"].contains(&reason).then_some(case.signal_name);
    assert_eq!(data["ended_by_signal"].as_str(), asked, "{end}");
    if phase.outcome == Outcome::Nothing {
        assert_eq!(data["preserved_ref"], Value::Null, "{end}");
        let others = sandbox.socket.others();
        assert!(
            others.iter().all(|peer| peer.name != "main"),
            "the worker never began: {others:?}"
        );
    } else {
        let saved =
            data["preserved_ref"].as_str().unwrap_or_else(|| panic!("preserved_ref in {end}"));
        assert_eq!(sandbox.git(["show", &format!("{saved}:precious")]), "work");
    }
    match phase.outcome {
        Outcome::Exited => assert_eq!(
            (&data["exit_code"], &data["ended_by"]),
            (&json!(3), &json!("shim")),
            "{end}"
        ),
        Outcome::Killed => assert_eq!(data["ended_by"], "warden", "{end}"),
        Outcome::Stopped => assert_eq!(data["signal"], if case.twice { 9 } else { 15 }, "{end}"),
        Outcome::Nothing => {}
    }
}

/// `number` is that of the first phase: signals go on in turn from group to group.
fn try_all(test: &str, phases: &[Phase], number: usize) {
    let sandbox = held::sandbox();
    let traced = |phase: &Phase| matches!(phase.hold, Hold::Call { .. } | Hold::Warden(..));
    if phases.iter().any(traced) && !strace::available(&sandbox) {
        return skipped(test, "no strace");
    }
    let mut count = 0;
    for (index, phase) in phases.iter().enumerate() {
        for case in cases(phase, number + index) {
            println!(
                "{}: {} {:?}{}",
                phase.name,
                case.signal_name,
                case.target,
                if case.twice { ", twice" } else { "" }
            );
            try_case(&sandbox, phase, case);
            count += 1;
            assert_eq!(sandbox.assert_runs_ended(), count);
            let told = fs::read_to_string(sandbox.base.join("told")).expect("hooks are told");
            assert_eq!(told.matches("hook-failed").count(), count, "each end is told once");
        }
    }
}

#[test]
fn signals_before_the_worker() {
    try_all("signals_before_the_worker", BEFORE_THE_WORKER, 0);
}

#[test]
fn signals_while_the_shim_begins() {
    try_all("signals_while_the_shim_begins", WHILE_IT_BEGINS, 5);
}

#[test]
fn signals_while_the_worker_works() {
    try_all("signals_while_the_worker_works", WHILE_IT_WORKS, 7);
}

#[test]
fn signals_up_to_the_record() {
    try_all("signals_up_to_the_record", UP_TO_THE_RECORD, 8);
}

#[test]
fn signals_after_the_record() {
    try_all("signals_after_the_record", AFTER_THE_RECORD, 12);
}

#[test]
fn signals_while_the_warden_ends_the_run() {
    try_all("signals_while_the_warden_ends_the_run", OF_THE_WARDEN, 18);
}
