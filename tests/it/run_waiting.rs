//! Runs that wait for a slot of `workers.max_parallel` under their own supervisors.

use fs_err as fs;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};
use crate::run_slots::{assert_waits, limited, locked_entries, started};

/// Warden and shim of a run that has no engine, when they have come to know each other.
fn supervisors(sandbox: &Sandbox, run: &Run<'_>) -> (Process, Process) {
    let log = sandbox.lattice_dir().join(format!("logs/workers/{}.log", run.id));
    eventually("a shim", SOON, || fs::metadata(&log).map_err(|error| error.to_string()));
    let pid = i32::try_from(run.started["pid"].as_i64().unwrap()).unwrap();
    let warden = Process::open(pid).expect("the warden lives");
    let shim = warden.child("shim").expect("the shim lives");
    (warden, shim)
}

#[test]
fn who_waits_has_begun_nothing_and_begins_when_a_slot_is_free() {
    let sandbox = limited(json!({"max_parallel": 1, "when_full": "wait"}));
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let call = sandbox.lattice(["worker", "run", "Short", "LAT-1", "--json"]).run().ok();
    let warning = call.json()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains(&long.id) && warning.contains("it waits for one to end"), "{call}");
    let short = sandbox.run_of(&call.data());
    assert_waits(&sandbox, &short);
    assert_eq!(sandbox.traces().iter().filter(|trace| trace.starts_with("worktree")).count(), 0);
    // Where it waits it is one run like any other.
    let again = ["worker", "run", "Short", "LAT-1", "--json"];
    sandbox.lattice(again).run().refused(3, "ALREADY_RUNNING");
    let page = sandbox.lattice(["show", "LAT-1"]).run().ok().stdout;
    assert!(page.contains("waiting for"), "{page}");
    main.tell("exit 0");
    let end = short.ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    let (waited, whole) = (&end["data"]["waited_seconds"], &end["data"]["duration_seconds"]);
    assert!(waited.as_f64().unwrap() > 0.0 && waited.as_f64() <= whole.as_f64(), "{end}");
    assert!(long.ended()["data"].get("waited_seconds").is_none());
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn a_waiting_run_can_be_stopped() {
    let sandbox = limited(json!({"max_parallel": 1}));
    let _long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let waits = sandbox.start_with("Short", &["--when-full", "wait"]);
    // What keeps it from even looking keeps no stop from it.
    let (holder, locked) = locked_entries(&sandbox);
    let end = sandbox.lattice(["worker", "stop", &waits.id, "--json"]).run().ok().data();
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["ended_by"]),
        (&json!("stopped"), &json!("shim"))
    );
    assert!(end["data"]["waited_seconds"].is_number(), "{end}");
    holder.tell("exit 0");
    locked.finish();
    main.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn a_waiting_run_that_is_killed_ends_once_and_leaves_nothing() {
    let sandbox = limited(json!({"max_parallel": 1, "when_full": "wait"}));
    let _long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    for (kill, reason, ended_by) in [
        (&["shim"][..], "supervisor_killed", "warden"),
        (&["warden", "shim"], "supervisor_lost", "reaper"),
    ] {
        let run = sandbox.start("Short");
        assert_waits(&sandbox, &run);
        let (warden, shim) = supervisors(&sandbox, &run);
        let chosen = |name: &&str| if *name == "shim" { &shim } else { &warden };
        kill.iter().for_each(|name| chosen(name).signal(Signal::STOP));
        kill.iter().for_each(|name| chosen(name).kill());
        kill.iter().for_each(|name| chosen(name).wait_dead(SOON));
        // A helper that was being started has the lock for as long as its exec takes.
        let end = eventually("an end", SOON, || {
            sandbox.lattice(["worker", "reap"]).run().ok();
            run.terminal().ok_or_else(String::new)
        });
        assert_eq!(
            (&end["data"]["reason"], &end["data"]["ended_by"]),
            (&json!(reason), &json!(ended_by))
        );
    }
    // Without its warden the shim waits on.
    let run = sandbox.start("Short");
    supervisors(&sandbox, &run).0.kill();
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 4);
}

/// It holds nothing that another one needs.
#[test]
fn s3_a_waiting_run_that_is_stopped_is_in_nobodys_way() {
    let sandbox = limited(json!({"max_parallel": 1, "when_full": "wait"}));
    let other = sandbox.create("Other");
    let long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let first = sandbox.start("Short");
    assert_waits(&sandbox, &first);
    let (_, shim) = supervisors(&sandbox, &first);
    shim.signal(Signal::STOP);
    let second = started(&sandbox, "Short", &other);
    main.tell("exit 0");
    long.ended();
    assert_eq!(second.ended()["type"], "process_completed");
    assert_eq!(first.terminal(), None);
    shim.signal(Signal::CONT);
    assert_eq!(first.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn f5_a_waiting_run_whose_directory_is_taken_away_begins_nothing() {
    let sandbox = limited(json!({"max_parallel": 1}));
    sandbox.worker("Marks", json!({"command": format!("touch {}/marked", sandbox.base.display())}));
    let _long = sandbox.start("Long");
    let main = sandbox.socket.peer("long");
    let run = sandbox.start_with("Marks", &["--when-full", "wait"]);
    supervisors(&sandbox, &run);
    fs::remove_dir_all(run.directory()).unwrap();
    assert_eq!(run.ended()["data"]["reason"], "spawn_failed");
    assert!(!sandbox.base.join("marked").exists());
    main.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

/// A hook has 10 s and may not wait; its run may.
#[test]
fn a_hook_that_starts_a_run_on_a_full_project_is_over_at_once() {
    let sandbox = limited(json!({"max_parallel": 1, "when_full": "wait"}));
    let other = sandbox.create("Other");
    let start = "lattice worker run Short $LATTICE_TASK_ID";
    sandbox.configure("hooks", json!({"transitions": {"* -> in_planning": start}}));
    let long = started(&sandbox, "Long", &other);
    let main = sandbox.socket.peer("long");
    let change = ["status", "LAT-1", "in_planning", "--actor", "human:ana"];
    let change = sandbox.lattice(change).run().ok();
    assert!(!change.stderr.contains("hook"), "{change}");
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
    let states: Vec<_> = rows.as_array().unwrap().iter().map(|row| &row["state"]).collect();
    assert_eq!(states, ["running", "waiting"], "{rows:#}");
    main.tell("exit 0");
    long.ended();
    eventually("the hook's run has ended", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        let ended = runs.values().next().is_some_and(|(_, ends)| ends.len() == 1);
        if ended { Ok(()) } else { Err(format!("{runs:?}")) }
    });
    sandbox.assert_clean();
}

#[test]
fn m10_a_run_does_not_wait_for_a_slot_that_it_has_itself() {
    let sandbox = limited(json!({"max_parallel": 1, "when_full": "wait"}));
    let script = "lattice worker run Short $LATTICE_TASK_ID --wait --json; \
                  lattice worker run Short $LATTICE_TASK_ID --json";
    sandbox.worker("Outer", json!({"command": script}));
    let outer = sandbox.start("Outer");
    assert_eq!(outer.ended()["type"], "process_completed", "{}", outer.log());
    let log = outer.log();
    assert!(log.contains("ALREADY_RUNNING") && log.contains("from inside of a run"), "{log}");
    assert!(log.contains("\"waiting\""), "the second start waits and outlives it: {log}");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}
