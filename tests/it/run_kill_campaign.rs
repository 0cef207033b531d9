//! SIGKILL at the moments that no test can hit by hand: at system calls of the CLI's start, of the shim from the
//! worktree to the last step, of the warden that finishes for the shim, and of the reaper that finishes for both.
//!
//! Each trial lets a process die as it enters one system call, then makes at most one ordinary call, and finds
//! either a run that went on to its one end, or nothing at all. `LATTICE_TEST_CAMPAIGN=full` tries every call
//! that changes something; otherwise a sample, so that the suite stays short.

use serde_json::{Value, json};

use crate::harness::campaign::{SAMPLE, assert_settled, chosen};
use crate::harness::hold;
use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::strace::{self, Moment};
use crate::harness::waiting::{SOON, skipped};

#[test]
fn f8_the_cli_killed_at_any_moment_of_the_start() {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped("f8_the_cli_killed_at_any_moment_of_the_start", "no strace");
    }
    let ran = sandbox.base.join("ran");
    let script = format!("echo $LATTICE_STARTED_EVENT_ID >> {}; exit 3", ran.display());
    sandbox.worker("Quick", json!({"command": script, "worktree": true}));
    let start = || sandbox.lattice(["worker", "run", "Quick", "LAT-1"]);
    let (finished, moments) = strace::moments(&sandbox, start());
    finished.ok();
    sandbox.assert_clean();
    let (mut began, mut died) = (0, 0);
    for moment in chosen(moments) {
        let before = sandbox.runs_of(&sandbox.task).len();
        let killed = strace::killed_at(start(), &moment).run();
        assert!(killed.signal == Some(9) || killed.code == Some(0), "{moment:?}, {killed}");
        died += usize::from(killed.signal == Some(9));
        assert_settled(&sandbox, &moment);
        let now = sandbox.runs_of(&sandbox.task).len() - before;
        assert!(
            now <= 1 && (now == 1 || !killed.stdout.contains("started")),
            "{moment:?}: what is told is true"
        );
        began += now;
    }
    println!("of {died} killed calls {began} had started a run");
    assert!(died >= SAMPLE * 3 / 4, "a campaign that kills nobody proves nothing");
    assert!(began > 0, "some moments are late enough for a run to go on");
    let runs = sandbox.runs_of(&sandbox.task);
    let worked = fs_err::read_to_string(ran).unwrap();
    for run in worked.lines() {
        assert!(runs.contains_key(run), "{run} worked, and no event tells of it");
    }
    for (_, ends) in runs.into_values() {
        assert_eq!(
            ends[0]["data"]["exit_code"], 3,
            "a run that goes on is a whole run: {}",
            ends[0]
        );
    }
}

/// A sandbox whose worker changes its worktree, leaves a daemon and waits.
fn working(name: &str) -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        skipped(name, "no strace");
        return None;
    }
    let steps = ["write=precious:work\n", "spawn-setsid=daemon", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    Some(sandbox)
}

/// What must hold for a run whose work was done, whoever was killed afterwards.
#[track_caller]
fn assert_worked(sandbox: &Sandbox, run: &Run<'_>, moment: &Moment) {
    assert_settled(sandbox, moment);
    let end = run.terminal().expect("a settled run has its end");
    if end["data"]["ended_by"] == "shim" {
        assert_eq!(end["type"], "process_completed", "{moment:?}: {end}");
    }
    let saved =
        end["data"]["preserved_ref"].as_str().unwrap_or_else(|| panic!("{moment:?}: {end}"));
    assert_eq!(sandbox.git(["show", &format!("{saved}:precious")]), "work", "{moment:?}");
    let alive: Vec<_> =
        sandbox.socket.others().into_iter().filter(|peer| !Process::is_dead(peer)).collect();
    assert!(alive.is_empty(), "{moment:?}: {alive:?}");
}

/// Nobody is proved wrong by a campaign in which everything ended before the kill.
fn assert_killed_in_time(sandbox: &Sandbox, name: &str, usual: &str) {
    let runs = sandbox.runs_of(&sandbox.task);
    let by_others = runs.values().filter(|(_, ends)| ends[0]["data"]["ended_by"] != usual).count();
    println!("{name}: {} runs, {by_others} not ended by the {usual}", runs.len());
    assert!(by_others >= SAMPLE / 4, "a campaign that kills nobody in time proves nothing");
}

fn start(sandbox: &Sandbox) -> (Run<'_>, Peer, [Process; 2]) {
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    (run, main, [shim, warden])
}

/// The moments up to the directory's last name, and some more: filling a pool looks at every process of the machine.
fn until_retired(trace: &str) -> Vec<Moment> {
    let retired =
        trace.lines().position(|line| line.starts_with("rename") && line.contains("/.old-"));
    let count = retired.expect("a run is put away") + 40;
    let lines: Vec<_> = trace.lines().take(count).collect();
    strace::read_lines(&lines.join("\n"), |_| true)
}

fn the_shim_in_its_end(name: &str, warden_too: bool) {
    let Some(sandbox) = working(name) else { return };
    let moments = {
        let (_, main, [shim, _]) = start(&sandbox);
        let tracing = strace::attached(&sandbox, &shim, None);
        main.tell("exit 0");
        until_retired(&strace::traced_text(&sandbox, tracing))
    };
    sandbox.assert_clean();
    for moment in chosen(moments) {
        let (run, main, [shim, warden]) = start(&sandbox);
        if warden_too {
            warden.kill();
            warden.wait_dead(SOON);
        }
        let tracing = strace::attached(&sandbox, &shim, Some(&moment));
        main.tell("exit 0");
        shim.wait_dead(SOON);
        tracing.finish();
        assert_worked(&sandbox, &run, &moment);
    }
    assert_killed_in_time(&sandbox, name, "shim");
}

#[test]
fn the_shim_killed_at_any_moment_of_its_end() {
    the_shim_in_its_end("the_shim_killed_at_any_moment_of_its_end", false);
}

#[test]
fn s4_the_last_supervisor_killed_at_any_moment_of_its_end() {
    the_shim_in_its_end("s4_the_last_supervisor_killed_at_any_moment_of_its_end", true);
}

#[test]
fn the_warden_killed_while_it_finishes_for_the_shim() {
    let name = "the_warden_killed_while_it_finishes_for_the_shim";
    let Some(sandbox) = working(name) else { return };
    let moments = {
        // The fake is held on to: it ends by itself when the test lets go of it.
        let (_, _main, [shim, warden]) = start(&sandbox);
        let tracing = strace::attached(&sandbox, &warden, None);
        shim.kill();
        strace::traced(&sandbox, tracing)
    };
    sandbox.assert_clean();
    for moment in chosen(moments) {
        let (run, main, [shim, warden]) = start(&sandbox);
        let tracing = strace::attached(&sandbox, &warden, Some(&moment));
        shim.kill();
        warden.wait_dead(SOON);
        main.wait_dead(SOON);
        tracing.finish();
        assert_worked(&sandbox, &run, &moment);
        let end = run.terminal().expect("a settled run has its end");
        assert_eq!(
            (&end["type"], &end["data"]["exit_code"]),
            (&json!("process_failed"), &Value::Null),
            "{end}"
        );
    }
    assert_killed_in_time(&sandbox, name, "warden");
}

/// Held in the salvage, so that its finisher can be found: from there to the end.
#[test]
fn the_reaper_killed_at_any_moment() {
    let name = "the_reaper_killed_at_any_moment";
    let Some(sandbox) = working(name) else { return };
    hold::git(&sandbox);
    let reaping = || {
        let (run, main, _) = start(&sandbox);
        run.lose_supervisors(&main);
        hold::once(&sandbox, "salvage");
        let call = sandbox.lattice(["worker", "reap"]).start();
        let git = sandbox.socket.peer("salvage");
        let finisher = git.ancestor(" finish ");
        (run, call, git, finisher)
    };
    let moments = {
        let (_, call, git, finisher) = reaping();
        let tracing = strace::attached(&sandbox, &finisher, None);
        git.tell("go");
        call.finish().ok();
        strace::traced(&sandbox, tracing)
    };
    sandbox.assert_clean();
    let mut unfinished = 0;
    for moment in chosen(moments) {
        let (run, call, git, finisher) = reaping();
        let tracing = strace::attached(&sandbox, &finisher, Some(&moment));
        git.tell("go");
        finisher.wait_dead(SOON);
        call.finish().ok();
        tracing.finish();
        unfinished += usize::from(run.terminal().is_none());
        let calls = [0; 3].map(|_| sandbox.lattice(["worker", "reap"]).start());
        calls.into_iter().for_each(|call| drop(call.finish().ok()));
        assert_worked(&sandbox, &run, &moment);
        assert_eq!(run.terminal().expect("it is settled")["data"]["reason"], "supervisor_lost");
    }
    println!("{name}: {unfinished} reapers died before the end was written");
    assert!(unfinished >= SAMPLE / 4, "a campaign that kills nobody in time proves nothing");
}

/// From inside `git worktree add` on: worktree, setup, gate, engine, end.
#[test]
fn the_shim_killed_at_any_moment_from_the_worktree_on() {
    let name = "the_shim_killed_at_any_moment_from_the_worktree_on";
    let Some(sandbox) = working(name) else { return };
    sandbox.worker("Quick", json!({"command": "exit 3", "setup": ["true"], "worktree": true}));
    hold::git(&sandbox);
    let held = || {
        hold::once(&sandbox, "checkout");
        let run = sandbox.start("Quick");
        let git = sandbox.socket.peer("checkout");
        let shim = git.ancestor(" shim ");
        (run, git, shim)
    };
    let moments = {
        let (_, git, shim) = held();
        let tracing = strace::attached(&sandbox, &shim, None);
        git.tell("go");
        strace::traced(&sandbox, tracing)
    };
    sandbox.assert_clean();
    for moment in chosen(moments) {
        let (run, git, shim) = held();
        let tracing = strace::attached(&sandbox, &shim, Some(&moment));
        git.tell("go");
        shim.wait_dead(SOON);
        tracing.finish();
        assert_settled(&sandbox, &moment);
        let end = run.terminal().expect("a settled run has its end");
        assert_eq!(end["type"], "process_failed", "{end}");
        let is_told = end["data"]["exit_code"] == 3 || end["data"]["reason"] == "supervisor_killed";
        assert!(is_told, "{moment:?}: {end}");
    }
    assert_killed_in_time(&sandbox, name, "shim");
}
