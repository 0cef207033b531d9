//! Hooks of process events: when they run, what they are told, and that a chain of workers does not break.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

/// Appends each event that a hook is told of to a file, one line each.
fn recording(sandbox: &Sandbox) -> String {
    let file = sandbox.base.join("told").display().to_string();
    sandbox.configure("hooks", json!({"post_event": format!("{{ cat; echo; }} >> {file}")}));
    file
}

fn told(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn hooks_are_told_of_the_start_and_of_the_end() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "exit 3", "worktree": true}));
    let file = recording(&sandbox);
    let run = sandbox.start("Work");
    let end = run.ended();
    sandbox.assert_clean();
    let events = told(&file);
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["process_started", "process_failed"]);
    assert_eq!((&events[0]["id"], &events[1]), (&json!(run.id), &end));
}

#[test]
fn s5_a_hook_is_told_of_an_end_that_a_reaper_wrote() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let file = recording(&sandbox);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    sandbox.lattice(["worker", "reap"]).run().ok();
    let end = run.ended();
    sandbox.assert_clean();
    assert_eq!(told(&file).last(), Some(&end));
}

#[test]
fn a_hook_runs_where_the_project_is_with_the_names_of_the_event() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    let file = sandbox.base.join("told").display().to_string();
    let script = format!(
        "{{ pwd; echo $LATTICE_ROOT; echo $LATTICE_EVENT_TYPE; echo $LATTICE_TASK_ID; }} > {file}"
    );
    sandbox.configure("hooks", json!({"on": {"process_completed": script}}));
    sandbox.run_to_end("Work");
    sandbox.assert_clean();
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(sandbox.normal(&text), "$DIR\n$DIR/.lattice\nprocess_completed\n<task1>\n");
}

#[test]
fn f7_the_end_of_one_worker_starts_the_next() {
    let sandbox = Sandbox::new();
    sandbox.worker("First", json!({"command": "echo first", "worktree": true}));
    sandbox.worker(
        "Second",
        json!({"command": sandbox.fake(&["connect=second", "wait"]), "worktree": true}),
    );
    let script =
        "grep -q '\"process_type\":\"First\"' && lattice worker run Second $LATTICE_TASK_ID";
    sandbox.configure("hooks", json!({"on": {"process_completed": script}}));
    sandbox.start("First").ended();
    let second = sandbox.socket.peer("second");
    eventually("the first run is over, with its supervisors", SOON, || {
        let warden = second.parent().parent().pid.to_string();
        let others: Vec<_> =
            sandbox.processes().into_iter().filter(|line| line.contains(" warden ")).collect();
        if others.len() == 1 && others[0].starts_with(&warden) {
            Ok(())
        } else {
            Err(format!("{others:?}"))
        }
    });
    assert!(!second.is_dead(), "what a hook has started outlives it");
    second.tell("exit 0");
    eventually("both have ended", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        let ends = runs.values().filter(|(_, ends)| ends.len() == 1).count();
        if ends == 2 { Ok(()) } else { Err(format!("{ends}")) }
    });
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

/// The warden inherits all that the shim has left, and ends it: but not a run that a hook has started.
#[test]
fn f7_a_run_that_a_hook_has_started_outlives_the_shim() {
    let sandbox = Sandbox::new();
    sandbox.worker("First", json!({"command": "true", "worktree": true}));
    sandbox.fake_worker("Second", &["connect=second", "wait"]);
    let hook = sandbox.fake_line(&["connect=hook", "wait"]);
    let script = format!(
        "grep -q '\"process_type\":\"First\"' && {{ lattice worker run Second $LATTICE_TASK_ID; {hook}; }}"
    );
    sandbox.configure("hooks", json!({"on": {"process_completed": script}}));
    let first = sandbox.start("First");
    let second = sandbox.socket.peer("second");
    let hook = sandbox.socket.peer("hook");
    hook.ancestor(" shim ").kill();
    // It was cut off, so it runs once more, and is told that the second run is there.
    let again = sandbox.socket.peer("hook");
    assert!(hook.is_dead() && !second.is_dead());
    again.tell("exit 0");
    second.tell("exit 0");
    assert_eq!(first.ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn a_hook_may_start_the_same_worker_again() {
    let sandbox = Sandbox::new();
    sandbox.worker("Again", json!({"command": "true", "worktree": true}));
    let flag = sandbox.base.join("once").display().to_string();
    let script = format!("mkdir {flag} && lattice worker run Again $LATTICE_TASK_ID");
    sandbox.configure("hooks", json!({"on": {"process_completed": script}}));
    sandbox.run_to_end("Again");
    eventually("both have ended", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        let ends = runs.values().filter(|(_, ends)| ends.len() == 1).count();
        if ends == 2 { Ok(()) } else { Err(format!("{ends} {:?}", sandbox.processes())) }
    });
    sandbox.assert_clean();
}

#[test]
fn a_hook_that_hangs_or_fails_costs_no_end() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    let line = sandbox.fake_line(&["ignore=TERM", "spawn-setsid=apart", "connect=hook", "wait"]);
    let daemon = sandbox.fake_line(&["connect=daemon", "wait"]);
    let line = format!("(setsid {daemon} &); {line}");
    sandbox.configure("hooks", json!({"post_event": "exit 7", "on": {"process_completed": line}}));
    let run = sandbox.start("Work");
    assert_eq!(run.ended()["type"], "process_completed", "the end does not wait for its hooks");
    // All have to be met while they live.
    let peers = ["hook", "apart", "daemon"].map(|name| sandbox.socket.peer(name));
    peers.iter().for_each(|peer| peer.wait_dead(SOON));
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn f7_a_run_that_a_late_hook_has_started_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.worker("First", json!({"command": "true", "worktree": true}));
    sandbox.fake_worker("Second", &["connect=second", "wait"]);
    let late = sandbox.fake_line(&["spawn-setsid=apart", "connect=hook", "wait"]);
    let script = format!(
        "grep -q '\"process_type\":\"First\"' && {{ lattice worker run Second $LATTICE_TASK_ID; {late}; }}"
    );
    sandbox.configure("hooks", json!({"on": {"process_completed": script}}));
    sandbox.start("First").ended();
    let second = sandbox.socket.peer("second");
    let late = ["apart", "hook"].map(|name| sandbox.socket.peer(name));
    late.iter().for_each(|peer| peer.wait_dead(SOON));
    assert!(!second.is_dead());
    second.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

/// It is neither the engine's nor ended with it, and costs the end nothing.
#[test]
fn a_job_that_a_hook_leaves_behind_in_time_outlives_the_run() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    let job = sandbox.fake_line(&["connect=$LATTICE_EVENT_TYPE", "wait"]).replace('\'', "\"");
    sandbox.configure("hooks", json!({"post_event": format!("{job} &")}));
    sandbox.run_to_end("Work");
    for name in ["process_started", "process_completed"] {
        let job = sandbox.socket.peer(name);
        eventually("its supervisors are gone", SOON, || {
            let of_a_run = |line: &&String| line.contains("lattice-shim");
            let left: Vec<_> =
                sandbox.processes().into_iter().filter(|line| of_a_run(&line)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
        assert!(!job.is_dead());
        job.kill();
    }
    sandbox.assert_clean();
}

/// The tracker's own event starts a worker, which a hook is told of in the Python tool's way: `LATTICE_ROOT` is the
/// `.lattice` directory.
#[test]
fn a_change_of_status_starts_a_worker() {
    let transition = json!({"transitions": {"* -> review": "START"}});
    for hooks in
        [transition, json!({"on": {"status_changed": "grep -q '\"to\":\"review\"' && START"}})]
    {
        let sandbox = Sandbox::new();
        sandbox.fake_worker("CodeReviewLite", &["connect=main", "wait"]);
        let start = "lattice worker run CodeReviewLite $LATTICE_TASK_ID";
        let text = hooks.to_string().replace("START", start);
        sandbox.configure("hooks", serde_json::from_str(&text).unwrap());
        let status = |status: &str| {
            let words =
                ["status", "LAT-1", status, "--actor", "human:ana", "--force", "--reason", "r"];
            sandbox.lattice(words).run().ok().silent();
        };
        status("in_progress");
        assert!(sandbox.runs_of(&sandbox.task).is_empty());
        status("review");
        let main = sandbox.socket.peer("main");
        let runs = sandbox.runs_of(&sandbox.task);
        let (starts, ends) = runs.values().next().unwrap();
        assert_eq!((starts.len(), ends.len()), (1, 0), "the change did not wait for the run");
        assert_eq!(starts[0]["actor"], "agent:worker", "not the one who changed the status");
        let environment = fs::read(format!("/proc/{}/environ", main.pid)).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        for of_the_hook in ["LATTICE_EVENT_TYPE=", "LATTICE_TO_STATUS=", "LATTICE_ACTOR=human:ana"]
        {
            assert!(!environment.contains(of_the_hook), "{environment}");
        }
        main.tell("exit 0");
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}
