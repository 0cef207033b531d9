//! Attacks on the start of a run, each test named by its row: callers that sleep or are told nothing, ends that are
//! written before anything has begun, and file systems that can do less.

use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::asleep::Asleep;
use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace::{self, Moment};
use crate::harness::waiting::{SOON, eventually, skipped};

/// A worker that ends by itself, after one run so that nothing has to be made that is not made each time.
fn quick(name: &str) -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        skipped(name, "no strace");
        return None;
    }
    sandbox.worker("Quick", json!({"command": "exit 3", "worktree": true}));
    sandbox.run_to_end("Quick");
    sandbox.assert_clean();
    Some(sandbox)
}

fn start(sandbox: &Sandbox) -> Call {
    sandbox.lattice(["worker", "run", "Quick", "LAT-1", "--json"])
}

/// When a start first makes this system call with these parts in its line.
#[track_caller]
fn moment(sandbox: &Sandbox, syscall: &str, parts: &[&str]) -> Moment {
    let (finished, trace) = strace::told(sandbox, start(sandbox), &[]);
    sandbox.run_of(&finished.ok().data()).ended();
    sandbox.assert_clean();
    strace::first(&trace, syscall, parts)
}

/// A short write by somebody else, which would wait 8 s for a lock that a sleeper holds.
#[track_caller]
fn assert_unlocked(sandbox: &Sandbox) {
    let comment = sandbox.lattice(["comment", "LAT-1", "Meanwhile", "--actor", ACTOR]).run().ok();
    assert!(comment.elapsed < Duration::from_secs(5), "{comment}");
}

/// What is there when the gate would open decides, not what was there when the run began.
#[test]
fn f1_a_run_whose_directory_goes_before_its_gate_opens_starts_no_engine() {
    let name = "f1_a_run_whose_directory_goes_before_its_gate_opens_starts_no_engine";
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped(name, "no strace");
    }
    let setup = sandbox.fake_line(&["connect=setup", "wait"]);
    let command = sandbox.fake(&["connect=main"]);
    sandbox.worker("Work", json!({"command": command, "setup": [setup], "worktree": true}));
    let run = sandbox.start("Work");
    let setup = sandbox.socket.peer("setup");
    let shim = setup.ancestor(" shim ");
    // The last step in front of the gate makes the engine's identity durable.
    let who = strace::Who::Itself;
    let stop = strace::stopping(&sandbox, &shim, who, "fsync", Some(&run.directory()));
    setup.tell("exit 0");
    let shim = stop.reached();
    fs::remove_dir_all(run.directory()).unwrap();
    shim.signal(Signal::CONT);
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "spawn_failed", "{end}");
    assert!(sandbox.socket.others().is_empty(), "no engine was started");
    // Without the directory there is no place for what saving needs, so nothing is deleted.
    assert!(end["data"]["kept_worktree"].is_string(), "{end}");
    sandbox.assert_left(&["worktree ", "entry ", "listed "]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// All of them hold one open file description: the first to unlock would free it for all, so nobody ever does.
#[test]
fn f2_nobody_unlocks_the_life_lock() {
    let Some(sandbox) = quick("f2_nobody_unlocks_the_life_lock") else { return };
    let options = ["-f", "-e", "trace=flock"];
    let (finished, trace) = strace::told(&sandbox, start(&sandbox), &options);
    sandbox.run_of(&finished.ok().data()).ended();
    sandbox.assert_clean();
    let on_life: Vec<&str> =
        trace.lines().filter(|line| line.contains("/lock>") || line.contains("/ended>")).collect();
    assert!(on_life.iter().any(|line| line.contains("LOCK_EX")), "{trace}");
    let unlocked: Vec<_> = on_life.iter().filter(|line| line.contains("LOCK_UN")).collect();
    assert!(unlocked.is_empty(), "{unlocked:#?}");
}

#[test]
fn f2_the_lock_is_busy_until_the_last_supervisor_has_gone() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (_, warden) = run.supervisors(&main);
    let lock = run.directory().join("lock").display().to_string();
    let probe = || sandbox.program(["flock", "-n", &lock, "true"]).run().code;
    assert_eq!(probe(), Some(1), "the caller has gone, and warden and shim hold it");
    warden.kill();
    warden.wait_dead(SOON);
    assert_eq!(probe(), Some(1), "the shim holds it alone");
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert!(!main.is_dead() && run.terminal().is_none());
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

/// What must be found after a power cut is synced before what relies on it is written.
#[test]
fn s14_a_start_is_synced_in_the_order_in_which_it_is_relied_on() {
    let name = "s14_a_start_is_synced_in_the_order_in_which_it_is_relied_on";
    let Some(sandbox) = quick(name) else { return };
    let (finished, trace) = strace::told(&sandbox, start(&sandbox), &[]);
    let run = sandbox.run_of(&finished.ok().data());
    run.ended();
    sandbox.assert_clean();
    let draft = format!("/runs/.new-{}", run.id);
    let log = format!("/events/{}.jsonl>", run.task);
    strace::assert_order(
        &trace,
        &[
            &["fsync(", &format!("{draft}/spec.json>")],
            &["fsync(", &format!("{draft}>")],
            &["rename(", &draft, &format!("/runs/{}\"", run.id)],
            &["fsync(", "/.lattice/runs>"],
            &["write(", &log, "process_started"],
            &["sync(", &log],
            &["sendmsg(", "\"go\\n\""],
        ],
    );
}

/// The collector of garbage takes what nobody has locked, although its maker only sleeps.
#[test]
fn s18_a_maker_that_sleeps_before_its_lock_starts_nothing() {
    let name = "s18_a_maker_that_sleeps_before_its_lock_starts_nothing";
    let Some(sandbox) = quick(name) else { return };
    let moment = moment(&sandbox, "openat", &["/runs/.new-ev_", "/lock\""]);
    let before = sandbox.tree();
    let asleep = Asleep::at(&sandbox, start(&sandbox), "SIGSTOP", &moment);
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert!(!sandbox.traces().iter().any(|trace| trace.starts_with("run ")), "it is collected");
    asleep.wakes().refused(1, "IO_ERROR");
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
}

#[test]
fn s18_a_maker_that_sleeps_behind_its_lock_goes_on() {
    let name = "s18_a_maker_that_sleeps_behind_its_lock_goes_on";
    let Some(sandbox) = quick(name) else { return };
    let moment = moment(&sandbox, "fsync", &["/runs/.new-ev_", "/spec.json>"]);
    let asleep = Asleep::at(&sandbox, start(&sandbox), "SIGSTOP", &moment);
    sandbox.sh("touch -d '-1 hour' .lattice/runs/.new-*");
    sandbox.lattice(["worker", "reap"]).run().ok();
    let run = sandbox.run_of(&asleep.wakes().ok().data());
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    sandbox.assert_clean();
}

/// From the append to the answer a Ctrl-Z waits: whoever stopped there would hold the task's locks.
#[test]
fn s20_a_caller_that_is_stopped_holds_no_lock_and_no_run() {
    let name = "s20_a_caller_that_is_stopped_holds_no_lock_and_no_run";
    let Some(sandbox) = quick(name) else { return };
    let runs = sandbox.assert_runs_ended() + 2;
    let moment = moment(&sandbox, "flock", &["/locks/events_", "LOCK_EX"]);
    let asleep = Asleep::at(&sandbox, start(&sandbox), "SIGTSTP", &moment);
    assert_unlocked(&sandbox);
    eventually("the run ends without its caller", SOON, || {
        let ended =
            sandbox.runs_of(&sandbox.task).values().filter(|(_, ends)| ends.len() == 1).count();
        if ended == runs { Ok(()) } else { Err(format!("{ended} of {runs}")) }
    });
    asleep.wakes().ok();
    sandbox.assert_clean();
}

#[test]
fn m1_a_supervisor_that_says_nothing_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.worker("Quick", json!({"command": "exit 3", "worktree": true}));
    let alone = sandbox.base.join("alone");
    sandbox.sh(&format!("mkdir {0} && cp {1} {0}", alone.display(), binaries::lattice().display()));
    let before = sandbox.tree();
    let lattice = alone.join("lattice").display().to_string();
    let call = sandbox.program([lattice.as_str(), "worker", "run", "Quick", "LAT-1", "--json"]);
    let refused = call.env("LATTICE_SHIM", "/bin/true").run();
    assert!(refused.elapsed < Duration::from_secs(5), "{refused}");
    refused.silent().refused(1, "SPAWN_ERROR");
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
}

#[test]
fn m5_a_file_system_without_links_has_renames_that_do_not_replace() {
    let name = "m5_a_file_system_without_links_has_renames_that_do_not_replace";
    let Some(sandbox) = quick(name) else { return };
    let options = ["-f", "-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"];
    let (finished, trace) = strace::told(&sandbox, start(&sandbox), &options);
    let run = sandbox.run_of(&finished.ok().data());
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    assert!(trace.contains("/terminal.json\"") && !trace.contains(") = 0\n"), "{trace}");
    sandbox.assert_clean();
    sandbox.assert_runs_ended();
}

#[test]
fn m5_without_links_and_such_renames_nothing_is_started() {
    let name = "m5_without_links_and_such_renames_nothing_is_started";
    let Some(sandbox) = quick(name) else { return };
    let before = sandbox.tree();
    let inject = "inject=link,linkat,renameat2:error=EPERM";
    let options = ["-e", "trace=link,linkat,renameat2", "-e", inject];
    let (finished, _) = strace::told(&sandbox, start(&sandbox), &options);
    let error = finished.refused(1, "IO_ERROR");
    assert!(error["hint"].to_string().contains("link(2)"), "{error}");
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
}

/// Between the checks and the locks the task may be archived: what counts is what is seen under the locks.
#[test]
fn m16_a_task_that_is_archived_during_the_start_gets_no_run() {
    let name = "m16_a_task_that_is_archived_during_the_start_gets_no_run";
    let Some(sandbox) = quick(name) else { return };
    let moment = moment(&sandbox, "openat", &["/locks/events_"]);
    let asleep = Asleep::at(&sandbox, start(&sandbox), "SIGSTOP", &moment);
    sandbox.lattice(["archive", "LAT-1", "--actor", ACTOR]).run().ok();
    let before = sandbox.tree();
    let error = asleep.wakes().exits(1).error();
    assert!(error["message"].to_string().contains("archived"), "{error}");
    let mut after = before.differences(&sandbox.tree());
    after.retain(|path| !path.contains("/.lattice/runs"));
    assert!(after.is_empty(), "{after:#?}");
    sandbox.assert_clean();
}

#[test]
fn m16_a_start_that_cannot_be_synced_is_taken_back() {
    let name = "m16_a_start_that_cannot_be_synced_is_taken_back";
    let Some(sandbox) = quick(name) else { return };
    let log = format!("/events/{}.jsonl>", sandbox.task);
    let moment = moment(&sandbox, "fdatasync", &[&log]);
    let before = sandbox.tree();
    let refused = strace::refused_at(start(&sandbox), "EIO", &moment).run();
    refused.refused(1, "IO_ERROR");
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
}
