//! The ready hooks of `scripts/hooks/`: the shipped files themselves, called by a real git, by an agent's rules, and by
//! the tracker.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::agent::Command;
use crate::harness::binaries;
use crate::harness::engines::stream;
use crate::harness::run::Run;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::{SOON, eventually};

fn shipped(name: &str) -> PathBuf {
    binaries::workspace().join("scripts/hooks").join(name)
}

fn shipped_json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(shipped(name)).unwrap()).unwrap()
}

/// A project with the worker that the examples start, as it is shipped too, and a stand-in for its agent.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.lattice(["worker", "add", "CodeReviewLite"]).run().ok();
    sandbox.commit("Add a worker");
    let fine = format!("cat={}", stream("claude-fine"));
    sandbox.install("claude", &["connect=main", "wait", &fine, "exit=0"]);
    sandbox
}

/// As git's hook, by a link to the shipped file.
fn with_git_hook() -> Sandbox {
    let sandbox = project();
    fs::create_dir_all(sandbox.project.join(".git/hooks")).unwrap();
    let hook = sandbox.project.join(".git/hooks/post-commit");
    fs_err::os::unix::fs::symlink(shipped("review-commit"), hook).unwrap();
    sandbox
}

/// What the agents' examples expect in the project.
fn with_agent_hook() -> Sandbox {
    let sandbox = project();
    let link = sandbox.project.join("scripts/hooks");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    fs_err::os::unix::fs::symlink(shipped(""), link).unwrap();
    sandbox.commit("Use the hooks");
    sandbox
}

fn log(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.lattice_dir().join("logs/hooks.log")).unwrap_or_default()
}

/// The run of the commit at HEAD, once it is recorded.
#[track_caller]
fn run_at_head(sandbox: &Sandbox) -> Run<'_> {
    let head = sandbox.git(["rev-parse", "HEAD"]);
    let started = eventually("a run of the commit", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task).into_values();
        let mut starts = runs.flat_map(|(starts, _)| starts);
        starts
            .find(|start| start["data"]["commit_sha"] == head.as_str())
            .ok_or_else(|| log(sandbox))
    });
    sandbox.run_of(&json!({"started_event_id": started["id"], "task_id": sandbox.task}))
}

#[track_caller]
fn ends(sandbox: &Sandbox) {
    let run = run_at_head(sandbox);
    sandbox.socket.peer("main").tell("go");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    assert!(end["data"]["artifact_id"].is_string(), "its review is attached: {end}");
}

/// The hook's own work behind git's back is over: it says how it went.
#[track_caller]
fn eventually_logged(sandbox: &Sandbox, text: &str) {
    eventually(&format!("{text:?} in the hooks' log"), SOON, || {
        let log = log(sandbox);
        if log.contains(text) { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_commit_is_reviewed_once() {
    let sandbox = with_git_hook();
    let commit = ["git", "commit", "-q", "--allow-empty", "-m", "Read UTF-8, for LAT-1"];
    let said = sandbox.program(commit).run().ok();
    let line = "CodeReviewLite starts on ";
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(text.starts_with(line) && text.ends_with("; see .lattice/logs/hooks.log\n"), "{said}");
    ends(&sandbox);
    sandbox.assert_clean();
    // Once more for the same commit, as after a merge that brought nothing.
    sandbox.sh(".git/hooks/post-commit");
    eventually_logged(&sandbox, "has had");
    assert_eq!(sandbox.assert_runs_ended(), 1);
    sandbox.git(["commit", "-q", "--amend", "--allow-empty", "-m", "Read it better, for LAT-1"]);
    ends(&sandbox);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn the_name_of_the_branch_will_do() {
    let sandbox = with_git_hook();
    sandbox.git(["checkout", "-q", "-b", "ana/lat-1-greet"]);
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "Greet"]);
    ends(&sandbox);
    sandbox.assert_clean();
}

#[test]
fn what_names_no_task_starts_nothing() {
    let sandbox = with_git_hook();
    let said = sandbox.program(["git", "commit", "-q", "--allow-empty", "-m", "Greet"]).run().ok();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    assert_eq!(log(&sandbox), "");
}

#[test]
fn without_lattice_a_commit_is_a_commit() {
    let sandbox = with_git_hook();
    let commit = sandbox.program(["git", "commit", "-q", "--allow-empty", "-m", "Greet, LAT-1"]);
    let said = commit.env("PATH", "/usr/local/bin:/usr/bin:/bin").run().ok();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    assert_eq!(sandbox.git(["log", "-1", "--format=%s"]), "Greet, LAT-1");
}

#[test]
fn without_the_worker_a_commit_is_a_commit() {
    let sandbox = with_git_hook();
    sandbox.sh("rm workers/CodeReviewLite.json");
    sandbox.git(["commit", "-q", "-a", "-m", "Remove the worker of LAT-1"]);
    eventually_logged(&sandbox, "CodeReviewLite");
    eventually_logged(&sandbox, "Error: ");
    assert!(sandbox.runs_of(&sandbox.task).is_empty());
}

/// Its `lattice` does nothing until the test lets it, and the commit is over long before.
#[test]
fn a_commit_does_not_wait() {
    let sandbox = with_git_hook();
    let slow = sandbox.fake_line(&["connect=slow", "wait"]);
    fs::create_dir_all(sandbox.bin()).unwrap();
    fs::write(sandbox.bin().join("lattice"), format!("#!/bin/sh\nexec {slow}\n")).unwrap();
    sandbox.sh(&format!("chmod +x {}", sandbox.bin().join("lattice").display()));
    sandbox.program(["git", "commit", "-q", "--allow-empty", "-m", "Greet, LAT-1"]).run().ok();
    let slow = sandbox.socket.peer("slow");
    assert!(!slow.is_dead());
    slow.tell("exit 1");
    slow.wait_dead(SOON);
}

/// In a worker's worktree and in the middle of a rebase, commits are made that nobody waits to see reviewed.
#[test]
fn commits_of_workers_and_of_rebases_start_nothing() {
    let sandbox = with_git_hook();
    let command = sandbox.fake(&["write=made:x", "git-commit=Made for LAT-1"]);
    sandbox.worker("Fix", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Fix");
    let end = run.ended();
    assert!(!run.log().contains("CodeReviewLite"), "{}", run.log());
    assert!(end["data"]["preserved_ref"].is_string(), "it has committed: {end}");
    sandbox.assert_clean();
    sandbox.git(["checkout", "-q", "-b", "side"]);
    sandbox.sh("git -c core.hooksPath=/dev/null commit -q -a -m 'The state of LAT-1'");
    sandbox.sh("git -c core.hooksPath=/dev/null commit -q --allow-empty -m 'One of LAT-1'");
    sandbox.sh("git -c core.hooksPath=/dev/null commit -q --allow-empty -m 'Two of LAT-1'");
    sandbox.sh("GIT_SEQUENCE_EDITOR=true GIT_EDITOR=true git rebase -q -i --force-rebase --keep-empty HEAD~2");
    assert_eq!(log(&sandbox), "");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// By the rules of an agent: the command of its file, what it tells on standard input, the end of the output.
#[track_caller]
fn at_the_end_of_a_turn(sandbox: &Sandbox, file: &str) -> Value {
    let hook = &shipped_json(file)["hooks"]["Stop"][0]["hooks"][0];
    assert_eq!((&hook["type"], hook["timeout"].as_u64() > Some(30)), (&json!("command"), true));
    let call = sandbox.program(["sh", "-c", hook["command"].as_str().unwrap()]);
    let call = call.env("CLAUDE_PROJECT_DIR", sandbox.project.display().to_string());
    let told = json!({"session_id": "s", "hook_event_name": "Stop", "stop_hook_active": false});
    let (code, stdout, stderr) = Command::start(call, &told).ended();
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    if stdout.is_empty() { Value::Null } else { serde_json::from_str(&stdout).expect(&stdout) }
}

#[track_caller]
fn a_turn_that_committed_is_reviewed_once(file: &str) {
    let sandbox = with_agent_hook();
    assert_eq!(at_the_end_of_a_turn(&sandbox, file), Value::Null, "no task is named");
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "Greet, for LAT-1"]);
    let said = at_the_end_of_a_turn(&sandbox, file);
    let message = said["systemMessage"].as_str().unwrap_or_else(|| panic!("a message: {said}"));
    assert!(message.ends_with("; see .lattice/logs/hooks.log"), "{message}");
    let run = run_at_head(&sandbox);
    assert!(run.terminal().is_none(), "the turn did not wait for the run");
    assert!(log(&sandbox).contains(&run.id), "{}", log(&sandbox));
    assert_eq!(at_the_end_of_a_turn(&sandbox, file), Value::Null, "while it runs");
    ends(&sandbox);
    assert_eq!(at_the_end_of_a_turn(&sandbox, file), Value::Null, "and after it");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    // In a project that has not taken it over it is not there, which is no error.
    sandbox.sh("rm scripts/hooks");
    assert_eq!(at_the_end_of_a_turn(&sandbox, file), Value::Null);
}

#[test]
fn claude_after_a_turn() {
    a_turn_that_committed_is_reviewed_once("claude-settings.json");
}

#[test]
fn codex_after_a_turn() {
    a_turn_that_committed_is_reviewed_once("codex-hooks.json");
}

fn change_status(sandbox: &Sandbox, status: &str) {
    let words = ["status", "LAT-1", status, "--actor", ACTOR, "--force", "--reason", "A test"];
    sandbox.lattice(words).run().ok();
}

#[test]
fn a_task_that_is_to_be_reviewed_is() {
    let sandbox = project();
    sandbox.configure("hooks", shipped_json("lattice-config.json")["hooks"].clone());
    change_status(&sandbox, "in_progress");
    assert!(sandbox.runs_of(&sandbox.task).is_empty());
    change_status(&sandbox, "review");
    ends(&sandbox);
    sandbox.assert_clean();
    assert!(log(&sandbox).contains("Log: "), "{}", log(&sandbox));
    // There and back again with the same commit.
    change_status(&sandbox, "in_progress");
    change_status(&sandbox, "review");
    eventually_logged(&sandbox, "has had");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn a_change_of_status_without_lattice_on_the_path() {
    let sandbox = project();
    sandbox.configure("hooks", shipped_json("lattice-config.json")["hooks"].clone());
    let words = ["status", "LAT-1", "review", "--actor", ACTOR, "--force", "--reason", "A test"];
    let call = sandbox.lattice(words).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    assert_eq!(call.run().ok().stderr, "");
    assert_eq!(log(&sandbox), "");
}
