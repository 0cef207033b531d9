//! Git's own hooks as callers, through real commits: git tells a hook of its repository, its index and its author,
//! and none of that may reach our own git or the worker.

use fs_err as fs;
use serde_json::json;

use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;

const START: &str = "lattice worker run Review LAT-1 --json > ../answer 2>&1";

/// Installs a hook that notes what git told it, and then does this.
fn hook(sandbox: &Sandbox, name: &str, script: &str) {
    let told = sandbox.base.join("told").display().to_string();
    let text = format!("#!/bin/sh\nenv | grep '^GIT_' > {told}\n{script}\n");
    let text = text.replace("../answer", &sandbox.base.join("answer").display().to_string());
    let path = sandbox.project.join(".git/hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    sandbox.sh(&format!("chmod +x {}", path.display()));
}

/// What git told the hook is what the test is about.
#[track_caller]
fn assert_told(sandbox: &Sandbox, expected: &str) {
    let told = fs::read_to_string(sandbox.base.join("told")).expect("the hook was called");
    assert!(told.lines().any(|line| line.starts_with(expected)), "{expected}: {told}");
}

/// The run that the hook started; no further commit calls it.
#[track_caller]
fn started(sandbox: &Sandbox) -> Run<'_> {
    sandbox.sh("rm .git/hooks/*");
    let answer = fs::read_to_string(sandbox.base.join("answer")).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).expect(&answer);
    sandbox.run_of(&answer["data"])
}

#[test]
fn a_commit_starts_a_worker_that_works_on_it() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["git-commit=Work", "connect=main", "wait"]);
    sandbox
        .worker("Review", json!({"command": command, "worktree": true, "setup": ["echo x > x"]}));
    hook(&sandbox, "post-commit", START);
    sandbox.write("README.md", "Changed.\n");
    // Other authors than the user, as a rebase has them.
    sandbox.sh("git commit -q -a -m 'Change, and start a review' --author 'Bo <bo@example.org>'");
    let run = started(&sandbox);
    assert_told(&sandbox, "GIT_INDEX_FILE=");
    assert_told(&sandbox, "GIT_AUTHOR_NAME=Bo");
    let head = sandbox.git(["rev-parse", "HEAD"]);
    assert_eq!(run.started["commit_sha"], head);
    let main = sandbox.socket.peer("main");
    let environment = fs::read_to_string(format!("/proc/{}/environ", main.pid)).unwrap();
    let told = fs::read_to_string(sandbox.base.join("told")).unwrap();
    for name in told.lines().filter_map(|line| line.split('=').next()) {
        // The harness's own, and a setting of ours.
        if !["GIT_CONFIG_NOSYSTEM", "GIT_EDITOR"].contains(&name) {
            assert!(!environment.contains(&format!("\0{name}=")), "{name}: {environment}");
        }
    }
    main.tell("exit 0");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    let saved = end["data"]["preserved_ref"].as_str().unwrap();
    let who = sandbox.git(["log", "--format=%an %s", &format!("{head}..{saved}")]);
    assert_eq!(who, "Ana Work", "the worker's commit is its own");
    sandbox.assert_clean();
}

#[test]
fn a_commit_of_everything_that_waits_for_a_review() {
    let sandbox = Sandbox::new();
    let command = "git status --porcelain; cat README.md";
    sandbox.worker("Review", json!({"command": command, "worktree": true}));
    hook(&sandbox, "pre-commit", &START.replace("--json", "--json --wait"));
    sandbox.write("README.md", "Changed.\n");
    sandbox.sh("git commit -q -a -m 'Change, but review first'");
    let run = started(&sandbox);
    let told = fs::read_to_string(sandbox.base.join("told")).unwrap();
    let index = told.lines().find(|line| line.starts_with("GIT_INDEX_FILE=")).unwrap();
    assert!(index.ends_with("index.lock"), "git holds its index: {told}");
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    assert_eq!(run.log(), "A project.\n", "a clean worktree of the commit before");
    assert_eq!(sandbox.git(["show", "HEAD:README.md"]), "Changed.");
    sandbox.assert_clean();
}

/// The commit is over before the run is, whose own git must not wait for the lock or write to the index.
#[test]
fn a_commit_of_everything_that_does_not_wait() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["connect=main", "wait", "write=made:x", "git-commit=Made"]);
    sandbox.worker("Review", json!({"command": command, "worktree": true}));
    hook(&sandbox, "pre-commit", START);
    sandbox.write("README.md", "Changed.\n");
    sandbox.sh("git commit -q -a -m Change");
    let run = started(&sandbox);
    assert_told(&sandbox, "GIT_INDEX_FILE=");
    assert_eq!(run.started["commit_sha"], sandbox.git(["rev-parse", "HEAD^"]));
    sandbox.socket.peer("main").tell("go");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end} {}", run.log());
    assert_eq!(sandbox.git(["show", "HEAD:README.md"]), "Changed.");
    assert_eq!(sandbox.git(["ls-files", "made"]), "", "the user's index is the user's");
    sandbox.assert_clean();
}

/// The project is the main checkout; git speaks of the linked one.
#[test]
fn a_commit_in_a_linked_worktree() {
    let sandbox = Sandbox::new();
    sandbox.worker("Review", json!({"command": "git rev-parse HEAD", "worktree": true}));
    sandbox.git(["worktree", "add", "-q", "-b", "feature", "../linked"]);
    hook(&sandbox, "post-commit", START);
    let root = sandbox.project.display().to_string();
    sandbox.sh(&format!("cd ../linked && LATTICE_ROOT={root} git commit -q --allow-empty -m More"));
    let run = started(&sandbox);
    assert_told(&sandbox, "GIT_DIR=");
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    // The commit that the run is frozen at is the project's, too.
    assert_eq!(run.log().trim(), sandbox.git(["rev-parse", "HEAD"]));
    sandbox.git(["worktree", "remove", "../linked"]);
    sandbox.assert_clean();
}

/// The linked worktree has the `.lattice` of its branch, and is a project of its own.
#[test]
fn a_commit_in_a_linked_worktree_that_is_the_project() {
    let sandbox = Sandbox::new();
    sandbox.worker("Review", json!({"command": "git log -1 --format=%s", "worktree": true}));
    sandbox.git(["worktree", "add", "-q", "-b", "feature", "../linked"]);
    hook(&sandbox, "post-commit", &START.replace("--json", "--json --wait"));
    sandbox.sh("cd ../linked && git commit -q --allow-empty -m More");
    assert_told(&sandbox, "GIT_DIR=");
    let answer = fs::read_to_string(sandbox.base.join("answer")).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).expect(&answer);
    let data = &answer["data"];
    let linked = sandbox.base.join("linked").display().to_string();
    assert!(data["worktree_path"].as_str().unwrap().starts_with(&linked), "{data}");
    assert_eq!(data["outcome"]["type"], "process_completed", "{data}");
    assert_eq!(fs::read_to_string(data["log_path"].as_str().unwrap()).unwrap(), "More\n");
    assert!(sandbox.runs_of(&sandbox.task).is_empty(), "nothing of it is in the main checkout");
    sandbox.sh("rm .git/hooks/* && cd ../linked && lattice worker reap");
    sandbox.git(["worktree", "remove", "--force", "../linked"]);
    sandbox.assert_clean();
}

/// What is pushed here is in quarantine while this hook runs: no object may be written there, and none is.
#[test]
fn a_push_into_the_projects_repository() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Review",
        json!({"command": "echo made > made; git status --short", "worktree": true}),
    );
    hook(&sandbox, "pre-receive", &format!("cd .. && {START}"));
    sandbox.sh(
        "git clone -q . ../clone && cd ../clone && git config user.name Bo && git config user.email b@c \
         && git commit -q --allow-empty -m More && git push -q origin HEAD:refs/heads/theirs",
    );
    let run = started(&sandbox);
    assert_told(&sandbox, "GIT_QUARANTINE_PATH=");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end} {}", run.log());
    let saved = end["data"]["preserved_ref"].as_str().unwrap();
    assert_eq!(sandbox.git(["show", &format!("{saved}:made")]), "made");
    sandbox.assert_clean();
}
