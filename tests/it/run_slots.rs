//! `workers.max_parallel`: never more runs at work than it allows, whoever starts them at whatever moment.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::{Finished, Running};
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, eventually};

/// `Long` lasts until the test says so; `Short` is over at once.
pub(crate) fn limited(workers: Value) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.worker("Long", json!({"command": sandbox.fake(&["connect=long", "wait"])}));
    sandbox.worker("Short", json!({"command": ["true"], "worktree": true}));
    sandbox.configure("workers", workers);
    sandbox
}

pub(crate) fn started<'a>(sandbox: &'a Sandbox, worker: &str, task: &str) -> Run<'a> {
    sandbox.run_of(&sandbox.lattice(["worker", "run", worker, task, "--json"]).run().ok().data())
}

/// Its row in `worker ps`.
#[track_caller]
fn row(sandbox: &Sandbox, run: &Run<'_>) -> Value {
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
    let row = rows.as_array().unwrap().iter().find(|row| row["run"] == run.id.as_str());
    row.unwrap_or_else(|| panic!("{} in {rows:#}", run.id)).clone()
}

#[track_caller]
pub(crate) fn assert_waits(sandbox: &Sandbox, run: &Run<'_>) {
    assert_eq!(run.started["state"], "waiting", "{}", run.started);
    let row = row(sandbox, run);
    assert_eq!((&row["state"], &row["engine_pid"]), (&json!("waiting"), &Value::Null), "{row}");
    assert_eq!(row["remaining_seconds"], 600, "its time does not run: {row}");
}

#[test]
fn a_full_project_names_who_has_the_slots_and_changes_nothing() {
    let sandbox = limited(json!({"max_parallel": 1}));
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let (events, tree) = (sandbox.events(), sandbox.tree());
    for more in [&[][..], &["--dry-run"]] {
        let words = [&["worker", "run", "Short", "LAT-1", "--json"], more].concat();
        let error = sandbox.lattice(words).run().refused(3, "ALREADY_RUNNING");
        let message = error["message"].as_str().unwrap();
        let who =
            format!("workers.max_parallel in config.json allows 1: Long on LAT-1 as {}", long.id);
        assert!(message.starts_with("1 run is at work") && message.ends_with(&who), "{error}");
        assert_eq!(error["runs"], json!([long.id]));
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains(&long.id) && hint.contains("--when-full wait"), "{hint}");
    }
    let plan = ["worker", "run", "Short", "LAT-1", "--dry-run", "--when-full", "wait"];
    let plan = sandbox.lattice(plan).run().ok();
    assert!(plan.stdout.contains("at most 1 run at once; one more waits"), "{plan}");
    assert!(plan.stderr.contains("it would wait"), "{plan}");
    assert_eq!(sandbox.events(), events);
    sandbox.assert_unchanged(&tree);
    main.tell("exit 0");
    long.ended();
    // Nothing but the end of `Long` was needed.
    let short = sandbox.start("Short");
    short.ended();
    let other = sandbox.create("Other");
    let long = started(&sandbox, "Long", &other);
    let main = sandbox.socket.peer("long");
    let again = ["worker", "rerun", &short.id, "--json"];
    sandbox.lattice(again).run().refused(3, "ALREADY_RUNNING");
    let again = sandbox.lattice(again).arg("--when-full").arg("wait").run().ok().data();
    assert_eq!(again["state"], "waiting");
    main.tell("exit 0");
    long.ended();
    assert_eq!(sandbox.run_of(&again).ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 3);
}

/// Each engine takes one of three seats that the kernel keeps, or fails: the proof does not lean on us.
fn seated(sandbox: &Sandbox) -> Value {
    let seat = format!("{}/seat", sandbox.base.display());
    let engine = sandbox.fake_line(&["connect=seated", "wait"]);
    let script = format!(
        "for n in 1 2 3; do exec {{fd}}>{seat}.$n; flock -n $fd && exec {engine}; exec {{fd}}>&-; done; exit 9"
    );
    json!({"command": script, "worktree": true})
}

/// Somebody who enters and does not come to an end.
pub(crate) fn locked_entries(sandbox: &Sandbox) -> (Peer, Running) {
    let lock = format!("lock={}", sandbox.lattice_dir().join("locks/runs.lock").display());
    let holder = sandbox.start_fake(&[&lock, "connect=holder", "wait"]);
    (sandbox.socket.peer("holder"), holder)
}

fn sixteen_starts(sandbox: &Sandbox, choice: &str) -> Vec<Finished> {
    let tasks: Vec<String> = (0..16).map(|n| sandbox.create(&format!("Task {n}"))).collect();
    let start = |task: &String| {
        let words = ["worker", "run", "Seated", task, "--when-full", choice, "--json"];
        sandbox.lattice(words).start()
    };
    let calls: Vec<_> = tasks.iter().map(start).collect();
    calls.into_iter().map(Running::finish).collect()
}

#[test]
fn of_sixteen_simultaneous_starts_as_many_begin_as_there_are_slots() {
    let sandbox = limited(json!({"max_parallel": 3}));
    sandbox.worker("Seated", seated(&sandbox));
    let calls = sixteen_starts(&sandbox, "refuse");
    let (started, refused): (Vec<_>, Vec<_>) =
        calls.into_iter().partition(|call| call.code == Some(0));
    assert_eq!(started.len(), 3, "{}", refused.iter().map(ToString::to_string).collect::<String>());
    for call in refused {
        let error = call.silent().refused(3, "ALREADY_RUNNING");
        assert!(error["message"].as_str().unwrap().starts_with("3 runs are at work"), "{error}");
    }
    let peers: Vec<_> = (0..3).map(|_| sandbox.socket.peer("seated")).collect();
    let runs = sandbox.traces().into_iter().filter(|trace| trace.starts_with("run "));
    assert_eq!(runs.count(), 3, "a refusal leaves nothing");
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    for call in &started {
        assert_eq!(sandbox.run_of(&call.data()).ended()["type"], "process_completed");
    }
    sandbox.assert_clean();
}

#[test]
fn all_that_wait_complete_and_never_more_at_once_than_there_are_slots() {
    let sandbox = limited(json!({"max_parallel": 3}));
    sandbox.worker("Seated", seated(&sandbox));
    let calls = sixteen_starts(&sandbox, "wait");
    // All seats but the one that is given up are taken all the time.
    let mut peers = Vec::new();
    for _ in 0..16 {
        peers.push(sandbox.socket.peer("seated"));
        if peers.len() == 3 {
            peers.remove(0).tell("exit 0");
        }
    }
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    for call in calls {
        let run = sandbox.run_of(&call.ok().data());
        let end = run.ended();
        assert_eq!(end["type"], "process_completed", "no seat was free: {end}");
    }
    sandbox.assert_clean();
}

/// Whatever each has seen before: what counts is the look under the lock.
#[test]
fn entries_are_made_one_after_the_other() {
    let sandbox = limited(json!({"max_parallel": 2}));
    let tasks = ["One", "Two", "Three"].map(|title| sandbox.create(title));
    let (holder, locked) = locked_entries(&sandbox);
    let start = |task: &String| sandbox.lattice(["worker", "run", "Long", task, "--json"]).start();
    let calls = tasks.each_ref().map(start);
    eventually("three that have seen free slots", SOON, || {
        let entries = fs::read_dir(sandbox.lattice_dir().join("runs")).unwrap();
        let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        let waiting = paths.iter().filter(|path| path.join("waiting").exists()).count();
        if waiting == 3 { Ok(()) } else { Err(format!("{waiting} of {paths:?}")) }
    });
    holder.tell("exit 0");
    locked.finish();
    let finished = calls.map(Running::finish);
    let started: Vec<_> = finished.iter().filter(|call| call.code == Some(0)).collect();
    let told: String = finished.iter().map(ToString::to_string).collect();
    assert_eq!(started.len(), 2, "{told}");
    let peers = [sandbox.socket.peer("long"), sandbox.socket.peer("long")];
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    started.iter().for_each(|call| drop(sandbox.run_of(&call.data()).ended()));
    sandbox.assert_clean();
}

#[test]
fn a_dead_holder_has_no_slot() {
    let sandbox = limited(json!({"max_parallel": 1}));
    let other = sandbox.create("Other");
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let waits = sandbox.start_with("Short", &["--when-full", "wait"]);
    assert_waits(&sandbox, &waits);
    long.lose_supervisors(&main);
    // No command of ours has run since: what is dead is not even finished.
    waits.ended();
    assert_eq!(long.terminal(), None);
    assert_eq!(started(&sandbox, "Short", &other).ended()["type"], "process_completed");
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(long.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn limits_may_change_while_runs_are_at_work() {
    let sandbox = limited(json!({"max_parallel": 2}));
    let tasks = ["One", "Two", "Three"].map(|title| sandbox.create(title));
    let runs = [&tasks[0], &tasks[1]].map(|task| started(&sandbox, "Long", task));
    let mut peers = vec![sandbox.socket.peer("long"), sandbox.socket.peer("long")];
    let waits = sandbox.start_with("Long", &["--when-full", "wait"]);
    assert_waits(&sandbox, &waits);
    sandbox.configure("workers", json!({"max_parallel": 1}));
    let words = ["worker", "run", "Short", &tasks[2], "--json"];
    let error = sandbox.lattice(words).run().refused(3, "ALREADY_RUNNING");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("2 runs are at work") && message.contains("allows 1"), "{error}");
    sandbox.configure("workers", json!({"max_parallel": 3}));
    // Nobody has ended: it is the limit that lets it in.
    peers.push(sandbox.socket.peer("long"));
    sandbox.lattice(words).run().refused(3, "ALREADY_RUNNING");
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    runs.iter().chain([&waits]).for_each(|run| drop(run.ended()));
    sandbox.assert_clean();
}

#[test]
fn an_engine_may_have_a_limit_of_its_own() {
    let sandbox = limited(json!({"max_parallel": {"total": 3, "script": 1}}));
    sandbox.install("claude", &["connect=agent", "wait"]);
    sandbox.agent("claude", &json!({}));
    let other = sandbox.create("Other");
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let words = ["worker", "run", "Short", &other, "--json"];
    let error = sandbox.lattice(words).run().refused(3, "ALREADY_RUNNING");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("1 run is at work, and workers.max_parallel.script"), "{error}");
    assert_eq!(error["runs"], json!([long.id]));
    let agents = [sandbox.start("Agent"), started(&sandbox, "Agent", &other)];
    let peers = [sandbox.socket.peer("agent"), sandbox.socket.peer("agent")];
    let more = sandbox.create("More");
    let error = sandbox.lattice(["worker", "run", "Agent", &more, "--json"]).run();
    let error = error.refused(3, "ALREADY_RUNNING");
    assert!(error["message"].as_str().unwrap().starts_with("3 runs are at work"), "{error}");
    main.tell("exit 0");
    peers.iter().for_each(|peer| peer.tell("exit 0"));
    agents.iter().chain([&long]).for_each(|run| drop(run.ended()));
    sandbox.assert_clean();
}

/// A slot is the lock of its run: neither the lock of the entries nor its absence makes one.
#[test]
fn a_lock_file_that_somebody_removes_makes_no_slot() {
    let sandbox = limited(json!({"max_parallel": 1}));
    let other = sandbox.create("Other");
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let lock = sandbox.lattice_dir().join("locks/runs.lock");
    fs::remove_file(&lock).unwrap();
    let words = ["worker", "run", "Short", &other, "--json"];
    sandbox.lattice(words).run().refused(3, "ALREADY_RUNNING");
    main.tell("exit 0");
    long.ended();
    sandbox.assert_clean();
}

#[test]
fn without_a_limit_nothing_is_locked_and_limits_count_what_is_at_work_already() {
    let sandbox = limited(json!({}));
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    assert!(!sandbox.lattice_dir().join("locks/runs.lock").exists());
    sandbox.configure("workers", json!({"max_parallel": 1}));
    sandbox
        .lattice(["worker", "run", "Short", "LAT-1", "--json"])
        .run()
        .refused(3, "ALREADY_RUNNING");
    main.tell("exit 0");
    long.ended();
    sandbox.assert_clean();
}
