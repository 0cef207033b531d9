//! Who looks on while a run ends: waiters, readers, callers that want to start it again.

use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::process::Process;
use crate::harness::sandbox::Sandbox;
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};
use crate::run_reap::reap;

#[test]
fn s1_a_waiter_that_sleeps_is_in_nobodys_way() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let waiting = sandbox.lattice(["worker", "wait", &run.id]).start();
    let waiter = waiting.process();
    let ended = run.directory().join("ended").display().to_string();
    eventually("it waits for `ended`, and for no other lock", SOON, || {
        let open = waiter.open_files();
        assert!(!open.iter().any(|path| path.ends_with("/lock")), "{open:?}");
        if open.contains(&ended) { Ok(()) } else { Err(format!("{open:?}")) }
    });
    waiter.signal(Signal::STOP);
    // Another one has been given the lock, and then was stopped.
    let granted = sandbox.start_fake(&[&format!("lock-shared={ended}"), "connect=granted", "wait"]);
    run.lose_supervisors(&main);
    let sleeper = sandbox.socket.peer("granted");
    sleeper.signal(Signal::STOP);
    reap(&sandbox);
    assert_eq!(
        run.terminal().expect("it is reaped all the same")["data"]["reason"],
        "supervisor_lost"
    );
    sleeper.kill();
    granted.finish();
    waiter.signal(Signal::CONT);
    waiting.finish().exits(4);
    sandbox.assert_clean();
}

#[test]
fn a_waiter_ends_the_run_whose_supervisors_die() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let waiting = sandbox.lattice(["worker", "wait", &run.id, "--json"]).start();
    run.lose_supervisors(&main);
    let finished = waiting.finish().exits(4);
    assert_eq!(finished.json()["data"]["data"]["reason"], "supervisor_lost", "{finished}");
    sandbox.assert_clean();
}

#[test]
fn s2_a_run_that_is_being_ended_is_shown_as_that_and_not_started_again() {
    let sandbox = Sandbox::new();
    let steps = ["write=precious:x", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    sandbox.write(".git/info/attributes", "precious filter=hold\n");
    sandbox.git([
        "config",
        "filter.hold.clean",
        &sandbox.fake_line(&["connect=git", "wait", "exec=cat"]),
    ]);
    let run = sandbox.start("Work");
    run.lose_supervisors(&sandbox.socket.peer("main"));
    let reaping = sandbox.lattice(["worker", "reap"]).start();
    let git = sandbox.socket.peer("git");
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
    assert_eq!(rows[0]["state"], "ending", "{rows}");
    let again = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]).run();
    assert!(again.elapsed < Duration::from_secs(10), "{again}");
    again.refused(3, "ALREADY_RUNNING");
    let listed = sandbox.lattice(["list"]).run().ok();
    assert!(listed.elapsed < Duration::from_secs(2), "a reader is not kept: {listed}");
    sandbox.git(["config", "filter.hold.clean", "cat"]);
    git.tell("go");
    reaping.finish().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

/// Saving what a run has made may take long; its engine is gone by then, and is not shown as running.
#[test]
fn a_run_is_starting_in_its_setup_and_ending_while_its_work_is_saved() {
    let sandbox = Sandbox::new();
    let steps = ["write=precious:x", "connect=main", "wait"];
    let setup = sandbox.fake_line(&["connect=setup", "wait"]);
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&steps), "worktree": true, "setup": [setup]}),
    );
    sandbox.write(".git/info/attributes", "precious filter=hold\n");
    let filter = sandbox.fake_line(&["connect=git", "wait", "exec=cat"]);
    sandbox.git(["config", "filter.hold.clean", &filter]);
    let run = sandbox.start("Work");
    let state = || {
        let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
        rows[0]["state"].as_str().unwrap().to_owned()
    };
    let setup = sandbox.socket.peer("setup");
    assert_eq!(state(), "starting");
    setup.tell("exit 0");
    let main = sandbox.socket.peer("main");
    assert_eq!(state(), "running");
    main.tell("exit 0");
    let git = sandbox.socket.peer("git");
    assert_eq!(state(), "ending");
    sandbox.git(["config", "filter.hold.clean", "cat"]);
    git.tell("go");
    run.ended();
    sandbox.assert_clean();
}

/// Its directory is closed to others: they see no supervisor, and that proves nothing.
#[test]
fn a_run_of_another_user_is_not_called_dead() {
    let sandbox = Sandbox::new();
    if !rustix::process::geteuid().is_root() {
        skipped("a_run_of_another_user_is_not_called_dead", "needs root, to be two users");
        return;
    }
    let nobody = ["setpriv", "--reuid=65534", "--clear-groups"];
    sandbox.sh("chmod a+x .. && chmod -R a+rX .lattice");
    let lattice = sandbox.lattice(["list"]).through(nobody).run();
    if lattice.code != Some(0) {
        let why = "another user gets neither at the binaries nor at the project";
        skipped("a_run_of_another_user_is_not_called_dead", why);
        return;
    }
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    sandbox.sh("chmod -R a+rX .lattice/tasks .lattice/events .lattice/logs");
    let listed = sandbox.lattice(["worker", "ps", "--json"]).through(nobody).run().ok().data();
    assert_eq!(listed[0]["state"], "unsupervised");
    let waiting = ["worker", "wait", run.id.as_str()];
    let early = sandbox.lattice(waiting).arg("--timeout").arg("0").through(nobody).run();
    early.exits(3);
    let waiting = sandbox.lattice(waiting).through(nobody).start();
    assert!(!waiting.process().dies_within(std::time::Duration::from_millis(300)));
    main.tell("exit 0");
    waiting.finish().ok();
    sandbox.assert_clean();
}

/// Nobody watches the one who ends a run for its dead supervisors, so it has a limit of its own.
#[test]
fn a_finisher_that_hangs_is_ended_and_another_one_begins() {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        skipped("a_finisher_that_hangs_is_ended_and_another_one_begins", "needs strace");
        return;
    }
    let steps = ["write=precious:x", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    sandbox.write(".git/info/attributes", "precious filter=hold\n");
    let filter = sandbox.fake_line(&["connect=git", "wait", "exec=cat"]);
    sandbox.git(["config", "filter.hold.clean", &filter]);
    let run = sandbox.start("Work");
    run.lose_supervisors(&sandbox.socket.peer("main"));
    let trace = sandbox.base.join("alarm").display().to_string();
    let traced = ["strace", "-f", "-e", "trace=alarm,setitimer", "-o", &trace];
    let reaping = sandbox.lattice(["worker", "reap"]).through(traced).start();
    let git = sandbox.socket.peer("git");
    // `end_limit_seconds` of the configuration, and an hour.
    let told = fs::read_to_string(&trace).unwrap();
    assert!(told.contains("alarm(3900)") || told.contains("tv_sec=3900"), "{told}");
    let text = fs::read_to_string(run.directory().join("reaper.json")).unwrap();
    let reaper: Value = serde_json::from_str(&text).unwrap();
    let finisher = Process::open(i32::try_from(reaper["pid"].as_i64().unwrap()).unwrap()).unwrap();
    finisher.signal(Signal::ALARM);
    finisher.wait_dead(SOON);
    // A program of the user's that hangs may outlive git; strace waits for it.
    git.kill();
    drop(reaping.finish());
    sandbox.git(["config", "filter.hold.clean", "cat"]);
    reap(&sandbox);
    assert_eq!(run.terminal().unwrap()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn m18_of_two_ends_that_a_merge_brought_together_the_first_counts() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "exit 3"}));
    let run = sandbox.start("Work");
    let end = run.ended();
    sandbox.assert_clean();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let mut other = end.clone();
    other["id"] = json!("ev_01JABCDEFGHJKMNPQRSTVWXYZ0");
    other["type"] = json!("process_completed");
    fs::write(&log, format!("{}{other}\n", fs::read_to_string(&log).unwrap())).unwrap();
    let shown = sandbox.lattice(["worker", "show", &run.id, "--json"]).run().ok().data();
    assert_eq!(shown["ended"], end);
    assert_eq!(reap(&sandbox), json!([]));
    sandbox.start("Work").ended();
}
