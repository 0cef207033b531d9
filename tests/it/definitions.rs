//! What keeps a worker from being started: one clear line with a hint, the right status, and nothing changed.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::tracker_refusals::archive;

/// `worker run NAME LAT-1` is refused in both forms of output, and leaves no trace.
#[track_caller]
fn refused(sandbox: &Sandbox, name: &str, options: &[&str], code: &str) -> Value {
    let call = || {
        let call = sandbox.lattice(["worker", "run", name, "LAT-1"]);
        options.iter().fold(call, |call, option| call.arg(option))
    };
    let before = sandbox.tree();
    let error = call().arg("--json").run().silent().refused(1, code);
    let words = call().run().exits(1).stdout("");
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert_eq!(words.stderr, format!("Error: {message}\n  hint: {hint}\n"));
    sandbox.assert_unchanged(&before);
    let traces = sandbox.traces();
    assert!(traces.is_empty(), "{traces:#?}");
    error
}

/// A definition file with this text is refused, and the file and a word of the reason are named.
#[track_caller]
fn refused_file(text: &str, word: &str) {
    let sandbox = Sandbox::new();
    sandbox.write("workers/broken.json", text);
    let error = refused(&sandbox, "Broken", &[], "INVALID_DEFINITION");
    let said =
        format!("{} {}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(said.contains("workers/broken.json") && said.contains(word), "{said}");
    // It is listed as what it is.
    let listed = sandbox.lattice(["worker", "list", "--json"]).run().ok().data();
    assert_eq!(
        (&listed[0]["path"], &listed[0]["valid"]),
        (&json!("workers/broken.json"), &json!(false)),
        "{listed}"
    );
    assert!(listed[0]["problems"].to_string().contains(word), "{listed}");
}

/// The same, of a definition that is right but for one key.
#[track_caller]
fn refused_key(key: &str, value: &Value, word: &str) {
    let mut definition = json!({"name": "Broken", "command": "true"});
    definition[key] = value.clone();
    refused_file(&definition.to_string(), word);
}

#[test]
fn broken_json() {
    refused_file("{\"name\": \"Broken\", \"command\": ", "line 1");
    refused_file("", "JSON");
}

#[test]
fn an_array() {
    refused_file("[{\"name\": \"Broken\"}]", "object");
    refused_file("\"Broken\"", "object");
}

#[test]
fn a_missing_or_impossible_name() {
    refused_file("{\"command\": \"true\"}", "name");
    // These have a name, so that nobody can call them by that of their file.
    for name in [json!(7), json!(""), json!("a/b"), json!("a\nb"), json!("x".repeat(65))] {
        let sandbox = Sandbox::new();
        sandbox.write("workers/broken.json", &json!({"name": name, "command": "true"}).to_string());
        let listed = sandbox.lattice(["worker", "list", "--json"]).run().ok().data();
        assert!(
            listed[0]["valid"] == false && listed[0]["problems"].to_string().contains("name"),
            "{listed}"
        );
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    refused_key("timeout_minute", &json!(5), "timeout_minutes");
    refused_key("worktre", &json!(true), "worktree");
    refused_key("promt_file", &json!("p.md"), "prompt_file");
}

#[test]
fn keys_for_others_are_left_alone() {
    let sandbox = Sandbox::new();
    let definition = json!({"command": "true", "$schema": "https://example.org/s.json", "x_team": {"owner": "ana"}});
    sandbox.worker("Fine", definition);
    assert_eq!(sandbox.run_to_end("Fine")["type"], "process_completed");
}

#[test]
fn values_of_the_wrong_kind() {
    refused_key("worktree", &json!("yes"), "worktree");
    refused_key("timeout_minutes", &json!(0), "timeout_minutes");
    refused_key("timeout_minutes", &json!(-1), "timeout_minutes");
    refused_key("timeout_minutes", &json!(10081), "timeout_minutes");
    refused_key("command", &json!([]), "command");
    refused_key("command", &json!(7), "command");
    refused_key("on_changes", &json!("burn"), "on_changes");
    refused_key("actor", &json!("worker"), "actor");
}

#[test]
fn a_path_that_leaves_the_project() {
    for path in ["../outside", "/etc/passwd", "a/../../b"] {
        refused_key("copy", &json!([path]), "copy");
        refused_key("link", &json!([path]), "link");
        refused_key("prompt_file", &json!(path), "prompt_file");
    }
}

#[test]
fn a_name_that_nobody_has_lists_those_that_there_are() {
    let sandbox = Sandbox::new();
    sandbox.worker("Lint", json!({"command": "true"}));
    let error = refused(&sandbox, "Lnit", &[], "NOT_FOUND");
    assert!(error.to_string().contains("Lint"), "{error}");
    let empty = Sandbox::new();
    let error = refused(&empty, "Lint", &[], "NOT_FOUND");
    assert!(
        !error["message"].as_str().unwrap().ends_with(' '),
        "a list of nothing is no list: {error}"
    );
    empty.write("workers/broken.json", &json!({"name": "", "command": "true"}).to_string());
    let error = refused(&empty, "Lint", &[], "NOT_FOUND");
    assert!(
        !error["message"].as_str().unwrap().ends_with(' '),
        "a list of nothing is no list: {error}"
    );
}

#[test]
fn two_files_of_one_name() {
    let sandbox = Sandbox::new();
    sandbox.worker("Twice", json!({"command": "true"}));
    sandbox.write("workers/other.json", &json!({"name": "twice", "command": "true"}).to_string());
    let error = refused(&sandbox, "Twice", &[], "INVALID_DEFINITION");
    let text = error.to_string();
    assert!(text.contains("workers/twice.json") && text.contains("workers/other.json"), "{text}");
}

#[test]
fn an_unknown_or_archived_task() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    let before = sandbox.tree();
    let run =
        |task: &str| sandbox.lattice(["worker", "run", "Fine", task, "--json"]).run().silent();
    run("LAT-99").refused(1, "NOT_FOUND");
    run("nonsense").refused(1, "INVALID_ID");
    sandbox.assert_unchanged(&before);
    archive(&sandbox);
    refused(&sandbox, "Fine", &[], "NOT_FOUND");
}

#[test]
fn an_actor_without_prefix() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    refused(&sandbox, "Fine", &["--actor", "ana"], "INVALID_ACTOR");
}

#[test]
fn a_binary_that_is_not_there() {
    let sandbox = Sandbox::new();
    sandbox.worker("Missing", json!({"command": ["no-such-binary", "x"], "worktree": true}));
    let error = refused(&sandbox, "Missing", &[], "SPAWN_ERROR");
    assert!(error["message"].as_str().unwrap().contains("no-such-binary"), "{error}");
    sandbox.worker("Absent", json!({"command": ["./no-such-script"], "worktree": true}));
    let error = refused(&sandbox, "Absent", &[], "INVALID_DEFINITION");
    assert!(error["message"].as_str().unwrap().contains("./no-such-script"), "{error}");
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn an_engine_that_this_version_does_not_have() {
    let sandbox = Sandbox::new();
    sandbox.worker("Later", json!({"engine": "telepathy", "command": "true"}));
    let error = refused(&sandbox, "Later", &[], "INVALID_DEFINITION");
    assert!(error.to_string().contains("telepathy"), "{error}");
}

#[test]
fn no_git_and_no_commit() {
    let sandbox = Sandbox::without_git();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    refused(&sandbox, "Fine", &[], "GIT_ERROR");
    sandbox.git(["init", "-q"]);
    refused(&sandbox, "Fine", &[], "GIT_ERROR");
    sandbox.identify();
    sandbox.commit("Now there is one");
    assert_eq!(sandbox.run_to_end("Fine")["type"], "process_completed");
}

#[test]
fn a_commit_that_is_not_there_or_makes_no_sense() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    sandbox.worker("InPlace", json!({"command": "true"}));
    refused(&sandbox, "Fine", &["--commit", "no-such-branch"], "GIT_ERROR");
    refused(&sandbox, "Fine", &["--commit=--help"], "GIT_ERROR");
    refused(&sandbox, "InPlace", &["--commit", "HEAD"], "VALIDATION_ERROR");
}

#[test]
fn a_prompt_that_the_commit_does_not_have() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Prompted",
        json!({"command": "true", "worktree": true, "prompt_file": "prompts/p.md"}),
    );
    sandbox.write("prompts/p.md", "Not committed.\n");
    let error = refused(&sandbox, "Prompted", &[], "INVALID_DEFINITION");
    assert!(error.to_string().contains("prompts/p.md"), "{error}");
}

#[test]
fn a_shim_of_another_version_or_none() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    let alone = sandbox.base.join("alone");
    fs::create_dir(&alone).unwrap();
    // By a program of its own: a descriptor that this process has open for writing would be inherited by the
    // children of other tests, and the file be "busy".
    let binary = crate::harness::binaries::lattice().display().to_string();
    sandbox.sh(&format!("cp {binary} {}", alone.display()));
    let lattice = alone.join("lattice").display().to_string();
    let before = sandbox.tree();
    let call = |shim: &str| {
        let call = sandbox.program([lattice.as_str(), "worker", "run", "Fine", "LAT-1", "--json"]);
        call.env("PATH", "/usr/bin:/bin").env("LATTICE_SHIM", shim).run()
    };
    // Not a supervisor at all: it exits at once, it says something else, it is not there.
    call("/bin/true").silent().refused(1, "SPAWN_ERROR");
    let chatty = alone.join("chatty");
    let text = "#!/bin/sh\\necho something else\\n";
    sandbox.sh(&format!("printf '{text}' > {0} && chmod +x {0}", chatty.display()));
    call(chatty.to_str().unwrap()).silent().refused(1, "VERSION_MISMATCH");
    call("/nonexistent").silent().refused(1, "SPAWN_ERROR");
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn broken_definitions_are_listed_beside_the_good_ones() {
    let sandbox = Sandbox::new();
    sandbox.worker("Good", json!({"command": "true", "description": "Does it"}));
    sandbox.write("workers/bad.json", "{");
    let listed = sandbox.lattice(["worker", "list", "--json"]).run().ok().silent().data();
    let valid: Vec<_> =
        listed.as_array().unwrap().iter().map(|row| (&row["path"], &row["valid"])).collect();
    assert_eq!(
        valid,
        [(&json!("workers/bad.json"), &json!(false)), (&json!("workers/good.json"), &json!(true))]
    );
    assert_eq!(
        sandbox.run_to_end("Good")["type"],
        "process_completed",
        "the broken one is not in the way"
    );
    sandbox.lattice(["comment", "LAT-1", "x", "--actor", ACTOR]).run().ok();
}
