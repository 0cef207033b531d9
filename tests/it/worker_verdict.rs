//! `lattice worker verdict`, and what a run counts that its worker tells in $LATTICE_USAGE.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;

fn verdict(sandbox: &Sandbox, engine: &str, name: &str, more: &[&str]) -> Finished {
    let records = fs::read_to_string(stream(name)).unwrap();
    let words = [&["worker", "verdict", engine], more].concat();
    sandbox.lattice(words).input(records).run()
}

#[test]
fn the_last_message_of_an_agent_that_did_its_work() {
    let sandbox = Sandbox::new();
    for engine in ["claude", "codex", "gemini", "opencode"] {
        let name = format!("{engine}-fine");
        let said = verdict(&sandbox, engine, &name, &[]).ok();
        assert_eq!(said.stdout, "The change is fine.\n\nNothing to add.\n", "{said}");
        let data = verdict(&sandbox, engine, &name, &["--json"]).ok().data();
        assert_eq!((&data["completed"], &data["error"]), (&json!(true), &Value::Null), "{data}");
        assert_eq!(data["message"], "The change is fine.\n\nNothing to add.");
        assert!(data["usage"]["output_tokens"].as_u64().unwrap() > 0, "{data}");
        // Its exit may say otherwise.
        let said = verdict(&sandbox, engine, &name, &["--exit", "3"]).exits(4);
        assert_eq!(said.stderr, format!("Error: {engine} reported success, but exited 3\n"));
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn why_an_agent_did_not_do_its_work() {
    let sandbox = Sandbox::new();
    let said = verdict(&sandbox, "codex", "codex-401", &["--exit", "1"]).exits(4);
    assert!(said.stderr.starts_with("Error: codex could not sign in (HTTP 401)"), "{said}");
    assert_eq!(said.stdout, "");
    let said = verdict(&sandbox, "claude", "claude-denied", &["--json"]).exits(4);
    let data = said.data();
    assert_eq!((&data["completed"], &data["class"]), (&json!(false), &json!("permissions")));
    assert_eq!(data["denied"], json!(["Bash"]));
    let said = sandbox.lattice(["worker", "verdict", "claude"]).input("").run().exits(4);
    assert_eq!(said.stderr, "Error: claude left no result record and exited 0; see its log\n");
    let said = sandbox.lattice(["worker", "verdict", "script"]).input("").run().exits(2);
    assert!(said.stderr.contains("there are claude, codex, gemini, opencode"), "{said}");
}

#[test]
fn a_script_that_asks_agents_has_used_what_they_have() {
    let sandbox = Sandbox::new();
    let script = format!(
        "for n in 1 2; do lattice worker verdict claude --usage $LATTICE_USAGE --agent r$n <{fine} & done; wait
         lattice worker verdict codex --usage $LATTICE_USAGE <{failed} || true
         echo '{{\"agent\": \"mine\", \"turns\": 1, \"cost_usd\": 0.5}}' >>$LATTICE_USAGE",
        fine = stream("claude-fine"),
        failed = stream("codex-401"),
    );
    sandbox.worker("Script", json!({"command": script}));
    let end = sandbox.run_to_end("Script");
    assert_eq!(end["type"], "process_completed", "{end}");
    let usage = &end["data"]["usage"];
    let mut names: Vec<&str> =
        usage["agents"].as_array().unwrap().iter().map(|a| a["agent"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["codex", "mine", "r1", "r2"], "{usage}");
    assert_eq!((&usage["turns"], &usage["cost_usd"]), (&json!(6), &json!(0.5316)), "{usage}");
    assert_eq!(usage["output_tokens"], 160);
    sandbox.assert_clean();
}

/// What it cannot be read from is no usage, and delays nothing.
#[test]
fn what_is_no_plain_file_tells_nothing() {
    let sandbox = Sandbox::new();
    for odd in ["mkfifo $LATTICE_USAGE", "ln -s /etc/passwd $LATTICE_USAGE", "mkdir $LATTICE_USAGE"]
    {
        sandbox.worker("Script", json!({"command": odd}));
        let end = sandbox.run_to_end("Script");
        assert_eq!(end["type"], "process_completed", "{end}");
        assert_eq!(end["data"].get("usage"), None, "{odd}: {end}");
    }
    sandbox.assert_clean();
}

#[test]
fn no_secret_is_told_with_the_names() {
    let sandbox = Sandbox::new();
    let command = r#"printf '{"agent":"%s","model":"m %s","turns":1}\n' $API_TOKEN $API_TOKEN >>$LATTICE_USAGE"#;
    sandbox.worker("Script", json!({"command": command}));
    let call = sandbox.lattice(["worker", "run", "Script", "LAT-1", "--json"]);
    let started = call.env("API_TOKEN", "planted-0123456789").run().ok().data();
    let end = sandbox.run_of(&started).ended();
    assert_eq!(end["data"]["usage"]["turns"], 1, "{end}");
    assert!(!end.to_string().contains("planted"), "{end}");
    let found = sandbox.program(["grep", "-rl", "planted-0123456789", ".lattice"]).run();
    assert_eq!(found.stdout, "");
}

/// Who ends a run and does not know its secrets tells numbers only.
#[test]
fn a_reaper_counts_too() {
    for (name, agent) in
        [("HARMLESS", json!({"agent": "a", "turns": 3})), ("API_TOKEN", json!({"turns": 3}))]
    {
        let sandbox = Sandbox::new();
        let fake = sandbox.fake_line(&["connect=main", "wait"]);
        let tell = "echo '{\"agent\":\"a\",\"turns\":3}' >>$LATTICE_USAGE";
        sandbox.worker("Script", json!({"command": format!("{tell}; exec {fake}")}));
        let call = sandbox.lattice(["worker", "run", "Script", "LAT-1", "--json"]);
        let run = sandbox.run_of(&call.env(name, "planted-0123456789").run().ok().data());
        let main = sandbox.socket.peer("main");
        run.lose_supervisors(&main);
        sandbox.lattice(["worker", "reap"]).run().ok();
        let end = run.ended();
        assert_eq!(end["data"]["reason"], "supervisor_lost", "{end}");
        assert_eq!(end["data"]["usage"], json!({"turns": 3, "agents": [agent]}), "{name}: {end}");
        sandbox.assert_clean();
    }
}
