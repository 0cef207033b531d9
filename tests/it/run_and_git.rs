//! What git and the Python tool do to `.lattice` under a live run, by their own commands: no end is lost, none is
//! made up, and the living are left alone.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::peer;
use crate::harness::run::Run;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, eventually, skipped};

/// A worker that has committed something, and waits.
fn running(sandbox: &Sandbox) -> (Run<'_>, Peer) {
    let steps = ["write=precious:work\n", "git-commit=Work", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let run = sandbox.start("Work");
    (run, sandbox.socket.peer("main"))
}

fn log(sandbox: &Sandbox) -> PathBuf {
    sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task))
}

/// Calls that look for dead runs find none.
#[track_caller]
fn assert_left_alone(sandbox: &Sandbox, run: &Run<'_>, main: &Peer) {
    for words in [&["list"][..], &["worker", "ps"], &["worker", "reap"], &["next"]] {
        sandbox.lattice(words).run().ok();
    }
    assert!(!main.is_dead(), "{}", run.log());
}

#[track_caller]
fn assert_exited(sandbox: &Sandbox, end: &Value) {
    let data = &end["data"];
    assert_eq!((&data["reason"], &data["exit_code"]), (&json!("exited"), &json!(3)), "{end}");
    assert_eq!(data["ended_by"], "shim", "{end}");
    let saved = data["preserved_ref"].as_str().unwrap_or_else(|| panic!("preserved_ref in {end}"));
    assert_eq!(sandbox.git(["show", &format!("{saved}:precious")]), "work");
}

#[test]
fn f5_a_switch_to_a_branch_without_the_log_delays_the_end() {
    let mut sandbox = Sandbox::empty();
    sandbox.make_repository();
    sandbox.git(["branch", "nothing"]);
    sandbox.make_lattice();
    sandbox.git(["add", ".lattice/config.json", ".lattice/.gitignore", ".lattice/.gitattributes"]);
    sandbox.git(["commit", "-q", "-m", "Start to track"]);
    sandbox.git(["branch", "no-task"]);
    sandbox.commit("A task");
    for branch in ["nothing", "no-task"] {
        let (run, main) = running(&sandbox);
        sandbox.commit("While it runs");
        sandbox.git(["switch", "-q", branch]);
        assert!(!log(&sandbox).exists());
        main.tell("exit 3");
        let record = run.record();
        sandbox.assert_clean();
        assert!(!log(&sandbox).exists(), "no log of one line is made");
        sandbox.git(["switch", "-q", "main"]);
        assert!(run.terminal().is_none());
        sandbox.lattice(["list"]).run().ok();
        let end = run.ended();
        assert_eq!(end, record["terminal"], "{branch}");
        assert_exited(&sandbox, &end);
        sandbox.commit("Ended");
    }
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn f5_a_switch_to_a_branch_with_an_older_log_tells_the_run_on_both() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "older"]);
    let (run, main) = running(&sandbox);
    sandbox.commit("While it runs");
    sandbox.git(["switch", "-q", "older"]);
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    let end = run.ended();
    assert_exited(&sandbox, &end);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    sandbox.commit("Ended here");
    sandbox.git(["switch", "-q", "main"]);
    assert!(run.terminal().is_none());
    sandbox.lattice(["list"]).run().ok();
    assert_eq!(run.ended(), end, "the same end");
    sandbox.commit("Ended here too");
    sandbox.git(["merge", "-q", "--no-edit", "older"]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
    assert_eq!(run.ended(), end);
}

#[test]
fn f5_a_stash_takes_the_start_away_and_a_pop_brings_it_back() {
    let sandbox = Sandbox::new();
    let (run, main) = running(&sandbox);
    sandbox.git(["stash", "-q", "--include-untracked"]);
    assert!(!fs::read_to_string(log(&sandbox)).unwrap().contains("process_started"));
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    let end = run.ended();
    assert_exited(&sandbox, &end);
    sandbox.assert_clean();
    sandbox.commit("Ended");
    // The snapshot may be in conflict, the log is not.
    sandbox.program(["git", "stash", "pop", "-q"]).run();
    assert_eq!(run.ended(), end);
    assert_eq!(sandbox.assert_runs_ended(), 1);
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert!(shown.get("active_processes").is_none(), "{shown}");
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// Its lock is another file then, which nobody holds.
#[test]
fn f5_a_run_that_was_put_into_a_stash_and_back_is_not_taken_for_dead() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    sandbox.git(["stash", "-q", "--all"]);
    assert!(!run.directory().exists());
    sandbox.git(["stash", "pop", "-q"]);
    assert!(run.directory().join("lock").exists());
    assert_left_alone(&sandbox, &run, &main);
    assert!(run.terminal().is_none());
    let refused = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]).run();
    refused.refused(3, "ALREADY_RUNNING");
    main.tell("exit 3");
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn f5_a_clean_that_takes_the_worktree_costs_no_commit_and_no_end() {
    let sandbox = Sandbox::new();
    let (run, main) = running(&sandbox);
    sandbox.git(["clean", "-ffdxq"]);
    assert!(!run.directory().exists() && !sandbox.lattice_dir().join("worktrees").exists());
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    let end = run.ended();
    assert_exited(&sandbox, &end);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    assert_eq!(run.record()["terminal"], end);
}

#[test]
fn f5_a_clean_that_takes_the_log_leaves_the_end_in_the_record() {
    let mut sandbox = Sandbox::new();
    // Not committed yet.
    sandbox.task = sandbox.create("Another task");
    let definition = json!({"command": sandbox.fake(&["connect=main", "wait"])});
    sandbox.write(
        "workers/work.json",
        &json!({"name": "Work", "command": definition["command"]}).to_string(),
    );
    sandbox.git(["add", "workers"]);
    sandbox.git(["commit", "-q", "-m", "Define a worker"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let before = fs::read(log(&sandbox)).unwrap();
    sandbox.git(["clean", "-ffdxq"]);
    assert!(!log(&sandbox).exists());
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    assert_eq!(run.record()["terminal"]["data"]["exit_code"], 3);
    sandbox.assert_clean();
    assert!(!log(&sandbox).exists(), "no log of one line is made");
    let found = sandbox.lattice(["doctor"]).run();
    assert!(found.stdout.contains(&format!("the end of the run {} is only in", run.id)), "{found}");
    fs::write(log(&sandbox), before).unwrap();
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.ended()["data"]["exit_code"], 3);
}

/// A clone on another machine, where the run looks unsupervised and a person ends it.
fn end_elsewhere(sandbox: &Sandbox, run: &Run<'_>) {
    sandbox.commit("While it runs");
    sandbox.sh("git clone -q . ../clone && cp .git/config ../clone/.git/config");
    let clone = sandbox.base.join("clone");
    let end = json!({
        "actor": ACTOR,
        "data": {"process_type": "Work", "started_event_id": run.id, "error": "looks dead", "reason": "reported", "ended_by": "cli"},
        "id": "ev_01KA00000000000000000000E1", "schema_version": 1, "task_id": sandbox.task,
        "ts": "2026-03-01T10:00:00Z", "type": "process_failed",
    });
    let log = clone.join(format!(".lattice/events/{}.jsonl", sandbox.task));
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{text}{end}\n")).unwrap();
    sandbox.lattice(["rebuild", "LAT-1"]).current_dir(&clone).run().ok();
    let commit = "git add -A && git commit -q -m 'Ended by hand'";
    sandbox.program(["sh", "-c", commit]).current_dir(&clone).run().ok();
}

fn pull(sandbox: &Sandbox) {
    sandbox.git(["fetch", "-q", "../clone", "main"]);
    // A snapshot in conflict is made again from the log.
    let merged = sandbox.program(["git", "merge", "-q", "--no-edit", "FETCH_HEAD"]).run();
    if merged.code != Some(0) {
        sandbox.git(["checkout", "-q", "--ours", "--", ".lattice/tasks"]);
        sandbox.lattice(["rebuild", "--all"]).run().ok();
        sandbox.commit("Merge");
    }
}

#[test]
fn m18_a_merge_that_brings_the_end_of_a_live_run_leaves_it_alone_and_stays_the_end() {
    let sandbox = Sandbox::new();
    let (run, main) = running(&sandbox);
    end_elsewhere(&sandbox, &run);
    pull(&sandbox);
    let brought = run.terminal().expect("the merge has brought it");
    assert_eq!(brought["data"]["reason"], "reported");
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    sandbox.assert_clean();
    assert_eq!(run.terminal(), Some(brought));
    assert_eq!(sandbox.assert_runs_ended(), 1);
    let saved = format!("refs/lattice/runs/{}:precious", run.id);
    assert_eq!(sandbox.git(["show", &saved]), "work");
}

#[test]
fn m18_a_merge_that_brings_a_second_end_changes_nothing_and_is_named() {
    let sandbox = Sandbox::new();
    let (run, main) = running(&sandbox);
    end_elsewhere(&sandbox, &run);
    main.tell("exit 3");
    let end = run.ended();
    sandbox.assert_clean();
    sandbox.commit("Ended");
    pull(&sandbox);
    let (_, ends) = &sandbox.runs_of(&sandbox.task)[&run.id];
    assert_eq!(ends.len(), 2, "union keeps both lines");
    assert_eq!(ends[0], end);
    let told = sandbox.lattice(["worker", "show", &run.id, "--json"]).run().ok().data();
    assert_eq!(told["ended"]["id"], end["id"], "the first counts: {told}");
    let found = sandbox.lattice(["doctor", "--json"]).run().data();
    assert!(found.to_string().contains("duplicate_event"), "{found}");
    for words in [&["worker", "reap"][..], &["rebuild", "LAT-1"]] {
        sandbox.lattice(words).run().ok();
    }
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert!(shown.get("active_processes").is_none(), "{shown}");
    assert_eq!(sandbox.runs_of(&sandbox.task)[&run.id].1.len(), 2, "and none is added");
}

#[test]
fn f10_the_python_tool_archives_a_task_under_its_run() {
    let sandbox = Sandbox::new();
    let python = |command: &str| -> Result<(), String> {
        let mut python = peer::Peer::new(&sandbox, None)?;
        python.call(&sandbox.project, &[command, "LAT-1", "--actor", ACTOR]).ok();
        Ok(())
    };
    let (run, main) = running(&sandbox);
    if let Err(reason) = python("archive") {
        main.tell("exit 3");
        return skipped("f10_the_python_tool_archives_a_task_under_its_run", &reason);
    }
    assert!(!log(&sandbox).exists());
    assert_left_alone(&sandbox, &run, &main);
    main.tell("exit 3");
    let archived = sandbox.lattice_dir().join(format!("archive/events/{}.jsonl", sandbox.task));
    eventually("the end is in the archive", SOON, || {
        let text = fs::read_to_string(&archived).map_err(|error| error.to_string())?;
        if text.contains("\"process_failed\"") { Ok(()) } else { Err(text) }
    });
    sandbox.assert_clean();
    assert!(!log(&sandbox).exists(), "no second log is made");
    python("unarchive").unwrap();
    assert_exited(&sandbox, &run.ended());
    assert_eq!(sandbox.assert_runs_ended(), 1);
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert!(shown.get("active_processes").is_none(), "{shown}");
}
