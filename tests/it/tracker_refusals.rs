//! What the tracker's commands refuse: the code, the exit status, one line and a hint, and nothing changed.

use crate::harness::sandbox::{ACTOR, Sandbox};

/// The call is refused in JSON with this code and in words with `Error:` and `hint:`, and changes nothing.
#[track_caller]
pub fn refused(sandbox: &Sandbox, arguments: &[&str], code: &str) {
    let before = sandbox.tree();
    let error = sandbox.lattice(arguments).arg("--json").run().silent().refused(1, code);
    let words = sandbox.lattice(arguments).run().exits(1).stdout("");
    let mut lines = words.stderr.lines();
    assert_eq!(
        lines.next(),
        Some(format!("Error: {}", error["message"].as_str().unwrap()).as_str())
    );
    assert_eq!(lines.next(), Some(format!("  hint: {}", error["hint"].as_str().unwrap()).as_str()));
    assert_eq!(lines.next(), None);
    sandbox.assert_unchanged(&before);
}

#[test]
fn a_task_that_is_not_there() {
    let sandbox = Sandbox::without_git();
    for command in [&["show"][..], &["comment"], &["attach"]] {
        let with = |task: &'static str| {
            let mut arguments = vec![command[0], task];
            arguments.extend(match command[0] {
                "comment" => &["Hello", "--actor", ACTOR][..],
                "attach" => &["--inline", "Hello", "--actor", ACTOR][..],
                _ => &[],
            });
            arguments
        };
        refused(&sandbox, &with("LAT-99"), "NOT_FOUND");
        refused(&sandbox, &with("task_01JABCDEFGHJKMNPQRSTVWXYZ0"), "NOT_FOUND");
        refused(&sandbox, &with("not an id"), "INVALID_ID");
    }
}

#[test]
fn an_actor_that_is_missing_or_has_no_prefix() {
    let sandbox = Sandbox::without_git();
    refused(&sandbox, &["comment", "LAT-1", "Hello"], "MISSING_ACTOR");
    refused(&sandbox, &["create", "A task"], "MISSING_ACTOR");
    for actor in ["ana", "human:", ":ana", "robot:ana"] {
        refused(&sandbox, &["comment", "LAT-1", "Hello", "--actor", actor], "INVALID_ACTOR");
    }
}

#[test]
fn values_that_the_project_does_not_know() {
    let sandbox = Sandbox::without_git();
    refused(&sandbox, &["comment", "LAT-1", " \n ", "--actor", ACTOR], "VALIDATION_ERROR");
    refused(
        &sandbox,
        &["comment", "LAT-1", "Hello", "--role", "nonsense", "--actor", ACTOR],
        "INVALID_ROLE",
    );
    for option in ["--priority", "--type", "--status", "--urgency", "--complexity"] {
        refused(
            &sandbox,
            &["create", "A task", option, "nonsense", "--actor", ACTOR],
            "VALIDATION_ERROR",
        );
    }
}

#[test]
fn an_archived_task_is_shown_and_not_written() {
    let sandbox = Sandbox::without_git();
    archive(&sandbox);
    let shown = sandbox.lattice(["show", "LAT-1"]).run().ok();
    assert!(shown.stdout.contains("[ARCHIVED]"), "{shown}");
    refused(&sandbox, &["comment", "LAT-1", "Hello", "--actor", ACTOR], "NOT_FOUND");
}

/// As the Python tool does it; `archive` itself is another issue.
pub fn archive(sandbox: &Sandbox) {
    let task = &sandbox.task;
    sandbox.sh(&format!(
        "cd .lattice && mv tasks/{task}.json archive/tasks/ && mv events/{task}.jsonl archive/events/"
    ));
}

#[test]
fn no_project_here() {
    let sandbox = Sandbox::empty();
    refused(&sandbox, &["list"], "NOT_INITIALIZED");
    let elsewhere = sandbox.lattice(["list", "--json"]).env("LATTICE_ROOT", "/nonexistent").run();
    elsewhere.silent().refused(1, "NOT_INITIALIZED");
}

#[test]
fn both_forms_of_the_root_variable_are_understood() {
    let sandbox = Sandbox::without_git();
    for root in [sandbox.project.clone(), sandbox.lattice_dir()] {
        let call = sandbox.lattice(["list", "--quiet"]).current_dir("/").env("LATTICE_ROOT", root);
        call.run().ok().silent().stdout("LAT-1\n");
    }
}

#[test]
fn usage_errors_exit_2_and_speak_on_stderr() {
    let sandbox = Sandbox::without_git();
    for arguments in
        [&["create"][..], &["list", "--nonsense"], &["nonsense"], &["worker", "run", "OnlyAName"]]
    {
        let refused = sandbox.lattice(arguments).run().exits(2).stdout("");
        assert!(refused.stderr.to_lowercase().contains("usage"), "{refused}");
    }
}
