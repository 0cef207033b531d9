//! Defaults, every key, and what is said about each mistake.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::*;

fn problems(text: &str) -> Vec<String> {
    let problems = parse(text.as_bytes()).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

/// A minimal definition with one more key; its one problem.
fn problem(key_and_value: &str) -> String {
    let text = format!(r#"{{"name": "N", "command": "true", "worktree": true, {key_and_value}}}"#);
    let mut found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn the_defaults() {
    let found = parse(br#"{"name": "Lint", "command": "make lint"}"#).unwrap();
    let expected = Definition {
        name: "Lint".into(),
        description: String::new(),
        actor: "agent:worker".into(),
        engine: EngineKind::Script,
        command: Some(CommandLine::Shell("make lint".into())),
        worktree: false,
        timeout: Duration::from_mins(10),
        idle_timeout: None,
        grace: None,
        result_grace: Duration::from_secs(15),
        setup: Vec::new(),
        setup_timeout: Duration::from_mins(5),
        copy: Vec::new(),
        link: Vec::new(),
        env: EnvRules { keep: Vec::new(), drop: Vec::new(), set: [].into(), inherit: true },
        prompt_file: None,
        model: None,
        args: Vec::new(),
        artifact_role: None,
        report_prefix: None,
        report_dir: None,
        report_from: ReportFrom::File,
        on_changes: OnChanges::Keep,
        log_tail: true,
        limits: Limits::default(),
        nice: 0,
        sandbox: Sandbox::None,
        sandbox_write: Vec::new(),
        sandbox_required: true,
        submodules: false,
    };
    assert_eq!(found, expected);
}

#[test]
fn every_key() {
    let text = json!({
        "$schema": "x", "x_note": [1], "name": "Review", "description": "d", "actor": "agent:r", "engine": "claude",
        "command": ["scripts/x", "a b"], "worktree": true, "timeout_minutes": 0.5, "idle_timeout_minutes": 2,
        "grace_seconds": 0, "setup": ["npm ci"], "setup_timeout_minutes": 1, "copy": [".env", "./conf/a"],
        "link": ["node_modules"], "prompt_file": "prompts/r.md", "model": "m", "args": ["-v", ""],
        "env": {"keep": ["A"], "drop": ["B_*"], "set": {"C": ""}, "inherit": false},
        "artifact_role": "review", "report_prefix": "Review: ", "report_dir": "reports", "on_changes": "discard",
        "report_from": "final_message", "result_grace_seconds": 3, "log_tail": false,
        "limits": {"log_bytes": 4096, "memory_mb": 2, "processes": 50, "cpu_minutes": 1.5, "open_files": 20,
        "file_size_mb": 3}, "nice": 19, "submodules": true, "sandbox": "worktree",
        "sandbox_write": [".lattice", "/opt/x", "~/.cache"], "sandbox_required": false
    });
    let found = parse(text.to_string().as_bytes()).unwrap();
    assert_eq!(found.engine, EngineKind::Claude);
    assert_eq!(found.command, Some(CommandLine::Argv(vec!["scripts/x".into(), "a b".into()])));
    assert_eq!(
        (found.timeout, found.idle_timeout),
        (Duration::from_secs(30), Some(Duration::from_mins(2)))
    );
    assert_eq!((found.grace, found.setup_timeout), (Some(Duration::ZERO), Duration::from_mins(1)));
    assert_eq!(found.copy, [PathBuf::from(".env"), PathBuf::from("conf/a")]);
    assert_eq!(found.link, [PathBuf::from("node_modules")]);
    assert_eq!(found.env.drop, ["B_*"]);
    assert_eq!((found.env.set.get("C").map(String::as_str), found.env.inherit), (Some(""), false));
    assert_eq!(found.args, ["-v", ""]);
    assert_eq!(
        (found.report_from, found.result_grace),
        (ReportFrom::FinalMessage, Duration::from_secs(3))
    );
    assert_eq!(
        (found.on_changes, found.log_tail, found.submodules),
        (OnChanges::Discard, false, true)
    );
    assert_eq!((found.sandbox, found.sandbox_required), (Sandbox::Worktree, false));
    assert_eq!(found.sandbox_write, [".lattice", "/opt/x", "~/.cache"].map(PathBuf::from));
    let limits = Limits {
        log_bytes: 4096,
        memory_mb: Some(2),
        processes: Some(50),
        cpu: Some(Duration::from_secs(90)),
        open_files: Some(20),
        file_size_mb: Some(3),
    };
    assert_eq!((found.limits, found.nice), (limits, 19));
}

#[test]
fn definitions_of_the_older_tool_are_read() {
    let text = r#"{"name": "CodeReviewLite", "description": "Quick review", "actor": "agent:reviewer",
        "engine": "claude", "command": "", "prompt_file": "prompts/code-review-lite.md", "worktree": true,
        "timeout_minutes": 10, "artifact_role": "review", "report_prefix": "CR", "report_dir": "notes/"}"#;
    let found = parse(text.as_bytes()).unwrap();
    assert_eq!((found.command, found.report_dir), (None, Some(PathBuf::from("notes"))));
}

#[test]
fn engines_are_known_by_their_names() {
    for engine in EngineKind::ALL {
        assert_eq!(EngineKind::parse(engine.name()), Some(engine));
    }
    assert_eq!(
        problem(r#""engine": "cladue""#),
        r#"engine: "cladue" is not an engine (did you mean "claude"?)"#
    );
}

#[test]
fn what_agents_need_and_scripts_do_not_have() {
    assert_eq!(
        problems(r#"{"name": "N", "engine": "codex"}"#),
        ["prompt_file: is missing, and codex needs one"]
    );
    assert_eq!(
        problem(r#""report_from": "final_message""#),
        "report_from: needs an engine that has messages, not a script"
    );
    assert_eq!(
        problem(r#""report_from": "x""#),
        r#"report_from: must be "file" or "final_message", not "x""#
    );
    for wrong in ["0", "1.5", "\"8\"", "-1"] {
        assert_eq!(
            problem(&format!(r#""limits": {{"memory_mb": {wrong}}}"#)),
            "limits.memory_mb: must be a whole number above 0"
        );
    }
}

#[test]
fn every_limit_that_makes_no_sense_is_named() {
    let text = r#"{"name": "N", "command": "true", "nice": 20, "limits": {"processes": 0, "cpu_minutes": -1,
        "open_files": 19, "file_size_mb": 0.5, "memory_mb": "1G", "log_bytes": [], "max_processes": 1}}"#;
    assert_eq!(
        problems(text),
        [
            "limits.log_bytes: must be a whole number above 0",
            "limits.memory_mb: must be a whole number above 0",
            "limits.processes: must be a whole number above 0",
            "limits.cpu_minutes: must be a number above 0 and at most 10080",
            "limits.open_files: must be a whole number not below 20",
            "limits.file_size_mb: must be a whole number above 0",
            "limits.max_processes: is not a key that Lattice knows (did you mean \"processes\"?)",
            "nice: must be a whole number from 0 to 19",
        ]
    );
    assert_eq!(problem(r#""nice": -1"#), "nice: must be a whole number from 0 to 19");
}

#[test]
fn files_that_are_no_object() {
    assert_eq!(problems("[]"), ["file: must be a JSON object, not an array"]);
    assert_eq!(problems("null"), ["file: must be a JSON object, not null"]);
    assert!(problems("{\"name\": ")[0].starts_with("file: is not JSON: "));
    assert!(problems("")[0].starts_with("file: is not JSON: "));
}

#[test]
fn all_problems_are_named_at_once() {
    let text =
        r#"{"worktree": "yes", "timeout_minutes": 0, "env": {"sett": {}}, "promt_file": "p"}"#;
    assert_eq!(
        problems(text),
        [
            "worktree: must be true or false, not a string",
            "name: is missing",
            "command: is missing, and a script needs one",
            "timeout_minutes: must be a number above 0 and at most 10080",
            r#"env.sett: is not a key that Lattice knows (did you mean "set"?)"#,
            r#"promt_file: is not a key that Lattice knows (did you mean "prompt_file"?)"#,
        ]
    );
}

#[test]
fn names() {
    let of = |name: &str| problems(&json!({"name": name, "command": "true"}).to_string());
    assert_eq!(of(""), ["name: is missing"]);
    assert_eq!(of("a/b"), ["name: must not contain a slash or a control character"]);
    assert_eq!(of("a\tb"), ["name: must not contain a slash or a control character"]);
    assert_eq!(of(&"ä".repeat(65)), ["name: must not be longer than 64 characters"]);
    assert_eq!(of(" a"), ["name: must not begin or end with a blank"]);
    assert_eq!(
        problems(r#"{"name": 1, "command": "x"}"#),
        ["name: must be a string, not a number"]
    );
    assert!(parse(json!({"name": "ä".repeat(64), "command": "x"}).to_string().as_bytes()).is_ok());
}

#[test]
fn paths_stay_in_the_project() {
    for key in ["prompt_file", "report_dir"] {
        for path in ["/etc/passwd", "../x", "a/../../x"] {
            let found = problem(&format!(r#""{key}": "{path}""#));
            assert_eq!(
                found,
                format!(
                    "{key}: {path:?} leaves the project: use a path below its root, without `..`"
                )
            );
        }
    }
    assert!(problem(r#""copy": ["ok", "../x"]"#).starts_with("copy: \"../x\" leaves the project"));
    assert!(problem(r#""link": ["/x"]"#).starts_with("link: \"/x\" leaves the project"));
    assert_eq!(problem(r#""link": ["."]"#), r#"link: "." names no file below the project root"#);
    assert_eq!(problem(r#""copy": [".git/config"]"#), "copy: must not name anything in `.git`");
    assert_eq!(problem(r#""copy": ["a"], "link": ["a/b"]"#), "link: a/b is in `copy` already");
    assert_eq!(
        problems(r#"{"name": "N", "command": "x", "copy": ["a"]}"#),
        ["copy: needs \"worktree\": true"]
    );
}

#[test]
fn commands() {
    let of = |command: serde_json::Value| {
        problems(&json!({"name": "N", "command": command}).to_string())
    };
    assert_eq!(of(json!("  ")), ["command: is missing, and a script needs one"]);
    assert_eq!(of(json!([])), ["command: is missing, and a script needs one"]);
    assert_eq!(of(json!([""])), ["command: must begin with a program"]);
    assert_eq!(of(json!(["a", 1])), ["command: must hold strings only, not a number"]);
    assert_eq!(
        of(json!({"a": 1})),
        ["command: must be a string or an array of strings, not an object"]
    );
    assert_eq!(of(json!("a\0b")), ["command: must not contain a NUL character"]);
    assert!(of(json!(["../x"]))[0].contains("leaves the project"));
    for good in [json!(["/usr/bin/env"]), json!(["make"]), json!(["./run", "../x"])] {
        assert!(parse(json!({"name": "N", "command": good}).to_string().as_bytes()).is_ok());
    }
}

#[test]
fn numbers() {
    for bad in ["0", "-1", "10080.1", "1e999", "\"5\"", "true"] {
        let found = problem(&format!(r#""idle_timeout_minutes": {bad}"#));
        assert!(
            found.contains("must be a number above 0") || found.starts_with("file: "),
            "{found}"
        );
    }
    assert_eq!(
        problem(r#""grace_seconds": -1"#),
        "grace_seconds: must be a number at least 0 and at most 3600"
    );
    let most = parse(br#"{"name": "N", "command": "x", "timeout_minutes": 10080}"#).unwrap();
    assert_eq!(most.timeout, Duration::from_hours(168));
}

#[test]
fn the_environment() {
    assert_eq!(problem(r#""env": []"#), "env: must be an object, not an array");
    assert_eq!(problem(r#""env": {"set": {"A": 1}}"#), "env.set: A must be a string, not a number");
    assert_eq!(
        problem(r#""env": {"set": {"A=B": ""}}"#),
        r#"env.set: "A=B" is not the name of a variable"#
    );
    assert_eq!(
        problem(r#""env": {"set": {"LATTICE_ROOT": "/"}}"#),
        "env.set: LATTICE_ROOT is set by Lattice itself"
    );
    assert!(
        problem(r#""env": {"drop": ["*A*"]}"#).starts_with("env.drop: \"*A*\" is not the name")
    );
}

#[test]
fn other_values() {
    assert_eq!(
        problem(r#""on_changes": "drop""#),
        r#"on_changes: must be "keep" or "discard", not "drop""#
    );
    assert_eq!(problem(r#""setup": "npm ci""#), "setup: must be an array of strings, not a string");
    assert_eq!(problem(r#""limits": 3"#), "limits: must be an object, not a number");
    for wrong in ["0", "-1", "1.5", "\"1G\""] {
        let problem = problem(&format!(r#""limits": {{"log_bytes": {wrong}}}"#));
        assert_eq!(problem, "limits.log_bytes: must be a whole number above 0");
    }
    assert!(problem(r#""limits": {"log_byte": 1}"#).ends_with("did you mean \"log_bytes\"?)"));
    assert_eq!(problem(r#""actor": "me""#), "actor: 'me' is not an actor");
    assert!(problem(r#""timeout": 3"#).ends_with("did you mean \"timeout_minutes\"?)"));
}

#[test]
fn the_shipped_definitions_are_valid() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../workers");
    let mut count = 0;
    for child in fs_err::read_dir(directory).unwrap() {
        let path = child.unwrap().path();
        let is_hidden = path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
        if path.extension().is_some_and(|extension| extension == "json") && !is_hidden {
            let found = parse(&fs_err::read(&path).unwrap())
                .unwrap_or_else(|problems| panic!("{path:?}: {problems:?}"));
            assert_eq!(path.file_stem().unwrap().to_str(), Some(found.name.as_str()));
            count += 1;
        }
    }
    assert!(count > 0);
}
