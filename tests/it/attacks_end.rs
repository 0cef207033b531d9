//! Attacks on the end of a run, each test named by its row: enders that are cut off or hang, and those who sleep or
//! wait beside them.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::asleep::Asleep;
use crate::harness::hold;
use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::socket::Peer;
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};

/// A worker that makes something in its worktree, and waits.
pub fn working(sandbox: &Sandbox) -> (Run<'_>, Peer) {
    let command = sandbox.fake(&["write=precious:work\n", "connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    (run, main)
}

/// Both at once, as in [`Run::lose_supervisors`], for those who have no engine any more.
pub fn kill(supervisors: [&Process; 2]) {
    supervisors.iter().for_each(|process| process.signal(Signal::STOP));
    for process in supervisors {
        process.kill();
        process.wait_dead(SOON);
    }
}

#[track_caller]
fn reap(sandbox: &Sandbox) -> Value {
    sandbox.lattice(["worker", "reap", "--json"]).run().ok().data()
}

/// The ender dies with two names for one file. Whoever comes next must not write what is published.
#[test]
fn f3_a_published_end_is_only_read_by_the_next_ender() {
    let name = "f3_a_published_end_is_only_read_by_the_next_ender";
    for next in ["reaper", "warden"] {
        let sandbox = Sandbox::new();
        if !strace::available(&sandbox) {
            return skipped(name, "no strace");
        }
        let (run, main) = working(&sandbox);
        let (shim, warden) = run.supervisors(&main);
        let terminal = run.directory().join("terminal.json");
        let calls = "link,linkat,rename,renameat,renameat2";
        let who = strace::Who::Itself;
        let stop = strace::stopping(&sandbox, &shim, who, calls, Some(&terminal));
        main.tell("exit 3");
        let shim = stop.reached();
        let published = fs::read(&terminal).unwrap();
        assert_eq!(fs::metadata(&terminal).unwrap().nlink(), 2, "this is the attack");
        assert!(run.terminal().is_none(), "and the log knows nothing of it yet");
        if next == "warden" {
            shim.kill();
        } else {
            kill([&warden, &shim]);
            assert_eq!(fs::read(&terminal).unwrap(), published);
            reap(&sandbox);
        }
        let end = run.ended();
        assert_eq!(
            (&end["data"]["exit_code"], &end["data"]["ended_by"]),
            (&json!(3), &json!("shim"))
        );
        let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", run.task));
        assert!(fs::read(log).unwrap().ends_with(&published), "the very line");
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

/// Saving may take minutes, and the Python tool gives up a lock after ten seconds.
#[test]
fn f6_whoever_waits_for_an_end_holds_no_lock_of_the_task() {
    for words in [
        &["worker", "run", "Work", "LAT-1", "--json"][..],
        &["rebuild", "LAT-1", "--json"],
        &["archive", "LAT-1", "--force", "--actor", ACTOR, "--json"],
    ] {
        let sandbox = Sandbox::new();
        hold::git(&sandbox);
        let (run, main) = working(&sandbox);
        run.lose_supervisors(&main);
        hold::once(&sandbox, "salvage");
        let waiting = sandbox.lattice(words).start();
        let git = sandbox.socket.peer("salvage");
        let comment = ["comment", "LAT-1", "Meanwhile", "--actor", ACTOR];
        let comment = sandbox.lattice(comment).run().ok();
        assert!(comment.elapsed < Duration::from_secs(5), "{words:?}: {comment}");
        git.tell("go");
        let finished = waiting.finish().ok();
        if words[0] == "worker" {
            let again = sandbox.run_of(&finished.data());
            sandbox.socket.peer("main").tell("exit 0");
            assert_eq!(again.ended()["type"], "process_completed");
        }
        sandbox.assert_clean();
    }
}

/// Stopped between the lock and the hand-over it would keep a dead run looking alive for as long as it sleeps.
#[test]
fn s2_a_reaper_on_which_somebody_presses_ctrl_z_has_handed_over() {
    let name = "s2_a_reaper_on_which_somebody_presses_ctrl_z_has_handed_over";
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped(name, "no strace");
    }
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let dead = || {
        let run = sandbox.start("Work");
        run.lose_supervisors(&sandbox.socket.peer("main"));
        run
    };
    let call = || sandbox.lattice(["worker", "reap"]);
    let first = dead();
    let (finished, trace) = strace::told(&sandbox, call(), &[]);
    finished.ok();
    let moment = strace::first(&trace, "flock", &[&format!("/{}/lock>", first.id)]);
    let second = dead();
    let reaper = Asleep::at(&sandbox, call(), "SIGTSTP", &moment);
    assert_eq!(second.ended()["data"]["reason"], "supervisor_lost");
    reaper.wakes().ok();
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

/// `stop --now` is for a shim that does not answer: it is killed, and the warden writes the end.
#[test]
fn s3_a_stop_that_must_be_now_does_not_wait_for_a_stopped_shim() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["connect=main", "wait"]);
    let definition = json!({"command": command, "worktree": true, "grace_seconds": 0.5});
    sandbox.worker("Work", definition);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    shim.signal(Signal::STOP);
    let stop = sandbox.lattice(["worker", "stop", "LAT-1", "--now", "--json"]).run().ok();
    assert!(stop.elapsed < Duration::from_secs(6), "{stop}");
    let end = stop.data();
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["ended_by"]),
        (&json!("stopped"), &json!("warden")),
        "{end}"
    );
    assert!(shim.is_dead() && main.is_dead());
    sandbox.assert_clean();
}

/// It has opened the lock of a living run, sleeps, and gets the lock of a directory that is gone.
#[test]
fn s4_a_reaper_that_sleeps_before_its_lock_finds_the_run_ended() {
    let name = "s4_a_reaper_that_sleeps_before_its_lock_finds_the_run_ended";
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped(name, "no strace");
    }
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let call = || sandbox.lattice(["worker", "reap", "--json"]);
    let (finished, trace) = strace::told(&sandbox, call(), &[]);
    assert_eq!(finished.ok().data(), json!([]));
    let moment = strace::first(&trace, "openat", &[&format!("{}/lock\"", run.id)]);
    let reaper = Asleep::at(&sandbox, call(), "SIGSTOP", &moment);
    main.tell("exit 3");
    run.ended();
    eventually("the directory is gone", SOON, || {
        if run.directory().exists() { Err(String::new()) } else { Ok(()) }
    });
    assert_eq!(reaper.wakes().ok().silent().data(), json!([]));
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// At least once: the log is closed, but what the hook was to do is not done.
#[test]
fn s5_a_hook_that_was_cut_off_runs_again_and_keeps_no_reader() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let hook = sandbox.fake_line(&["connect=hook", "wait"]);
    sandbox.configure("hooks", json!({"on": {"process_completed": hook}}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    main.tell("exit 0");
    let hook = sandbox.socket.peer("hook");
    let end = run.ended();
    kill([&warden, &shim]);
    hook.kill();
    let listed = sandbox.lattice(["list"]).run().ok();
    assert!(listed.elapsed < Duration::from_secs(2), "a reader is not kept: {listed}");
    let again = sandbox.socket.peer("hook");
    assert!(run.directory().exists(), "the directory goes behind the hooks");
    again.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(run.terminal(), Some(end));
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// A stop that was asked for is heard although whoever asked died before the signal.
#[test]
fn s11_a_stop_without_its_signal_is_heard() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    fs::write(run.directory().join("stop.request"), "{\"now\":false}").unwrap();
    main.wait_dead(Duration::from_secs(10));
    assert_eq!(run.ended()["data"]["reason"], "stopped");
    sandbox.assert_clean();
}

/// A worker that had ended by itself before anything was sent to it was not stopped.
#[test]
fn s11_an_end_of_its_own_wins_over_a_stop_that_comes_with_it() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    shim.signal(Signal::STOP);
    main.tell("exit 0");
    main.wait_dead(SOON);
    let stop = sandbox.lattice(["worker", "stop", &run.id, "--json"]).start();
    eventually("the stop is asked for", SOON, || {
        if run.directory().join("stop.request").exists() { Ok(()) } else { Err(String::new()) }
    });
    shim.signal(Signal::CONT);
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["exit_code"], &end["data"]["stop_requested"]),
        (&json!("process_completed"), &json!(0), &json!(true)),
        "{end}"
    );
    stop.finish();
    sandbox.assert_clean();
}
