//! `worker check`: what would stop a run is found, named with its remedy, and nothing is changed.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Call;
use crate::harness::sandbox::Sandbox;

/// A caller without services around it that end what it starts.
fn check(sandbox: &Sandbox, args: &[&str]) -> Call {
    let call = sandbox.lattice(["worker", "check", "--json"]);
    args.iter().fold(call, |call, arg| call.arg(*arg))
}

/// State, words and remedy of one check; all of them, if there are several.
fn of(lines: &Value, what: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = lines.as_array().unwrap().iter().filter(|line| line["check"] == what);
    lines.map(|line| (text(&line["state"]), text(&line["message"]), text(&line["hint"]))).collect()
}

#[track_caller]
fn assert_line(lines: &Value, what: &str, state: &str, words: &str) {
    let found = of(lines, what);
    let fits = found.iter().any(|(found, says, _)| found == state && says.contains(words));
    assert!(fits, "{what} {state} {words:?}: {found:?} of {lines:#}");
    let told = found.iter().filter(|(state, _, _)| state == "stops" || state == "doubtful");
    assert!(told.clone().all(|(_, _, hint)| !hint.is_empty()), "a remedy: {found:?}");
}

/// The one worker's lines, and whether it would start.
#[track_caller]
fn checked(sandbox: &Sandbox, code: i32) -> Value {
    let finished = check(sandbox, &["Agent"]).run().exits(code);
    let data = finished.data();
    assert_eq!(data["workers"].as_array().unwrap().len(), 1);
    assert_eq!(data["workers"][0]["starts"], code == 0, "{data:#}");
    data["workers"][0]["checks"].clone()
}

#[test]
fn a_worker_that_would_start() {
    for engine in ["claude", "codex", "gemini", "opencode"] {
        let sandbox = Sandbox::new();
        sandbox.install(engine, &[]);
        sandbox.agent(engine, &json!({"model": "m"}));
        let before = sandbox.tree();
        let lines = checked(&sandbox, 0);
        assert_line(&lines, "definition", "ok", "valid");
        assert_line(&lines, "program", "ok", &format!("{engine}, {engine} 1.2.3"));
        assert_line(&lines, "flags", "ok", "known");
        assert_line(&lines, "prompt", "ok", "prompts/p.md, 26 bytes");
        assert_line(&lines, "place", "ok", "a worktree of ");
        assert_line(&lines, "login", "doubtful", "none is seen");
        sandbox.assert_unchanged(&before);
        assert!(!sandbox.bin().join(format!("{engine}.seen")).exists(), "it was not set to work");
    }
}

#[test]
fn the_machine_and_the_project() {
    let sandbox = Sandbox::new();
    let lines = |call: Call| call.run().data()["project"].clone();
    let fine = lines(check(&sandbox, &[]));
    assert_line(&fine, "supervisor", "ok", "lattice-shim, lattice-shim 0.");
    assert_line(&fine, "git", "ok", "git version");
    assert_line(&fine, "nesting", "ok", "outside");
    assert_line(&fine, "caller", "ok", "sandbox");
    assert_line(&fine, "writable", "ok", ".lattice");
    for name in ["RUNNER_TRACKING_ID", "JENKINS_NODE_COOKIE"] {
        let found = check(&sandbox, &[]).env(name, "planted-5772").run().ok();
        assert!(!found.stdout.contains("planted-5772"), "{found}");
        assert_line(&found.data()["project"], "cleaner", "doubtful", name);
    }
    let sandboxed = check(&sandbox, &[]).env("CODEX_SANDBOX", "seatbelt").run().exits(1);
    assert_line(&sandboxed.data()["project"], "caller", "stops", "CODEX_SANDBOX");
    let deep = check(&sandbox, &[]).env("LATTICE_DEPTH", "2").run().exits(1);
    assert_line(&deep.data()["project"], "nesting", "stops", "2 runs deep");
    let limited = check(&sandbox, &[]).through(["bash", "-c", "ulimit -f 1000; exec \"$@\"", "_"]);
    assert_line(&lines(limited), "limits", "doubtful", "1024000 bytes");
    let config = json!({"max_paralel": 1});
    sandbox.configure("workers", config);
    assert_line(&lines(check(&sandbox, &[])), "config", "doubtful", "max_paralel");
    // Another version beside it.
    let bin = sandbox.base.join("old");
    sandbox.sh(&format!("mkdir {0} && cp \"$(command -v lattice)\" {0}", bin.display()));
    fs::write(bin.join("lattice-shim"), "#!/bin/sh\necho lattice-shim 0.0.1\n").unwrap();
    sandbox.sh(&format!("chmod +x {}/lattice-shim", bin.display()));
    let old = sandbox.program([bin.join("lattice").into_os_string(), "worker".into()]);
    let old = old.arg("check").arg("--json").run().exits(1);
    assert_line(&old.data()["project"], "supervisor", "stops", "0.0.1");
}

#[test]
fn every_problem_of_a_definition_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("workers/a.json", r#"{"name": "Agent", "comand": "true", "timeout_minutes": 0}"#);
    let lines = checked(&sandbox, 1);
    assert_line(&lines, "definition", "stops", "command: is missing");
    assert_line(&lines, "definition", "stops", "timeout_minutes: must be");
    assert_line(&lines, "definition", "stops", "comand: is not a key");
    sandbox.write("workers/a.json", r#"{"name": "Agent", "command": "true"}"#);
    sandbox.write("workers/b.json", r#"{"name": "agent", "command": "true"}"#);
    let all = check(&sandbox, &[]).run().exits(1).data();
    for worker in all["workers"].as_array().unwrap() {
        assert_line(&worker["checks"], "definition", "stops", "has the same name");
    }
    check(&sandbox, &["Nobody"]).run().refused(1, "NOT_FOUND");
}

#[test]
fn prompts_programs_and_files_that_a_run_would_miss() {
    let sandbox = Sandbox::new();
    sandbox.install("claude", &[]);
    sandbox.agent("claude", &json!({"copy": [".env"], "link": ["target"]}));
    let lines = checked(&sandbox, 1);
    assert_line(&lines, "copy", "stops", ".env is to be copied");
    assert_line(&lines, "link", "doubtful", "target is to be linked");
    sandbox.agent("claude", &json!({}));
    sandbox.write("prompts/p.md", "Changed {{task.titel}}.\n");
    assert_line(
        &checked(&sandbox, 0),
        "prompt",
        "doubtful",
        "has changes that the run does not see",
    );
    sandbox.commit("A typo");
    assert_line(&checked(&sandbox, 1), "prompt", "stops", "did you mean {{task.title}}?");
    sandbox.agent("claude", &json!({"prompt_file": "prompts/new.md"}));
    sandbox.write("prompts/new.md", "Do it.\n");
    assert_line(&checked(&sandbox, 1), "files", "stops", "prompts/new.md, which is not in commit");
    sandbox.worker("Agent", json!({"command": ["scripts/x"], "worktree": true}));
    assert_line(&checked(&sandbox, 1), "files", "stops", "scripts/x, which is not in commit");
    sandbox.write("scripts/x", "#!/bin/sh\n");
    sandbox.commit("A script that is none");
    assert_line(&checked(&sandbox, 1), "program", "stops", "scripts/x is not executable");
    sandbox.worker("Agent", json!({"command": ["no-such-program"]}));
    assert_line(&checked(&sandbox, 1), "program", "stops", "no-such-program");
    let bare = Sandbox::without_git();
    bare.worker("Agent", json!({"command": "true", "worktree": true}));
    assert_line(&checked(&bare, 1), "place", "stops", "is in no git repository");
}

#[test]
fn what_an_agents_program_says_of_itself() {
    let sandbox = Sandbox::new();
    sandbox.install("codex", &[]);
    sandbox.agent("codex", &json!({"args": ["--hidden=3"]}));
    assert_line(&checked(&sandbox, 0), "flags", "doubtful", "--hidden, of `args`");
    let program = sandbox.bin().join("codex");
    let script = |text: &str| {
        fs::remove_file(&program).unwrap_or_default();
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        sandbox.sh(&format!("chmod +x {}", program.display()));
    };
    sandbox.agent("codex", &json!({}));
    script("echo codex 0.1; [ \"$1\" != exec ] || echo --json -C -m -s");
    let lines = checked(&sandbox, 1);
    assert_line(&lines, "program", "ok", "codex 0.1");
    let missing = "--skip-git-repo-check, --dangerously-bypass-approvals-and-sandbox";
    assert_line(&lines, "flags", "stops", missing);
    script("exit 3");
    let lines = checked(&sandbox, 0);
    assert_line(&lines, "program", "unknown", "gives no version");
    assert_line(&lines, "flags", "unknown", "--help");
    // It is asked in the surroundings that it would have.
    script("echo \"codex $CODEX_THREAD_ID $CODEX_API_KEY $CHOSEN\"");
    sandbox.agent("codex", &json!({"env": {"set": {"CHOSEN": "x"}, "drop": ["CODEX_API_KEY"]}}));
    let call = check(&sandbox, &["Agent"]).env("CODEX_THREAD_ID", "1").env("CODEX_API_KEY", "2");
    let lines = call.run().ok().data()["workers"][0]["checks"].clone();
    assert_line(&lines, "program", "ok", "codex   x");
    assert_line(&lines, "login", "doubtful", "none is seen");
}

#[test]
fn a_login_is_seen_and_never_told() {
    const PLANTED: &str = "planted-value-2718";
    for (engine, variable, file) in [
        ("claude", "ANTHROPIC_API_KEY", ".claude/.credentials.json"),
        ("codex", "CODEX_API_KEY", ".codex/auth.json"),
        ("gemini", "GEMINI_API_KEY", ".gemini/oauth_creds.json"),
        ("opencode", "OPENAI_API_KEY", ".local/share/opencode/auth.json"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.install(engine, &[]);
        sandbox.agent(engine, &json!({}));
        let set = check(&sandbox, &["Agent"]).env(variable, PLANTED).run().ok();
        assert!(!set.stdout.contains(PLANTED), "{set}");
        assert_line(&set.data()["workers"][0]["checks"], "login", "ok", variable);
        let path = sandbox.base.join("home").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, PLANTED).unwrap();
        assert_line(&checked(&sandbox, 0), "login", "ok", file);
    }
}

#[test]
fn surroundings_in_which_an_agent_does_nothing() {
    let sandbox = Sandbox::new();
    sandbox.install("codex", &[]);
    sandbox.agent("codex", &json!({"env": {"set": {"CODEX_HOME": "/nowhere"}}}));
    assert_line(&checked(&sandbox, 1), "surroundings", "stops", "CODEX_HOME names no directory");
    sandbox.install("claude", &[]);
    sandbox.agent("claude", &json!({"env": {"set": {}}}));
    let is_root = rustix::process::geteuid().is_root();
    let lines = checked(&sandbox, i32::from(is_root));
    let state = if is_root { "stops" } else { "ok" };
    assert_line(&lines, "surroundings", state, "");
    sandbox.agent("claude", &json!({}));
    sandbox.sh(&format!("cp /bin/true {}/bwrap", sandbox.bin().display()));
    let call = check(&sandbox, &["Agent"]).env("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB", "1");
    let lines = call.run().ok().data()["workers"][0]["checks"].clone();
    assert_line(&lines, "surroundings", "doubtful", "takes keys away");
}

#[test]
fn people_and_scripts_are_told_the_same() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true"}));
    sandbox.worker("Lost", json!({"command": ["no-such-program"]}));
    let page = sandbox.lattice(["worker", "check"]).run().exits(1).silent().stdout;
    assert!(page.starts_with("Project "), "{page}");
    assert!(page.contains("\nFine (workers/fine.json)\n  ok  "), "{page}");
    let stops = "  stops  program     the program `no-such-program` was not found";
    assert!(page.contains(stops), "{page}");
    assert!(page.contains("\n                     hint: install it"), "{page}");
    assert!(page.ends_with("\n1 of 2 workers would start.\n"), "{page}");
    sandbox.lattice(["worker", "check", "--quiet"]).run().exits(1).silent().stdout("Fine\n");
    sandbox.lattice(["worker", "check", "fine", "--quiet"]).run().ok().silent().stdout("Fine\n");
    let one = sandbox.lattice(["worker", "check", "fine"]).run().ok().silent().stdout;
    assert!(one.ends_with("\nIt would start.\n") && !one.contains("Lost"), "{one}");
}
