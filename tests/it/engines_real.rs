//! Real agents, from `worker run` to the terminal event. They are not among what the tests need: somebody installs them
//! and names the directory of their programs in `LATTICE_TEST_AGENTS`. Their models are `tests/providers/serve.py`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::provider::{KEY, Provider};
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

/// They are slow to start, and slower to give up.
const LIMIT: Duration = Duration::from_secs(180);

macro_rules! of_each_agent {
    ($($case:ident)*) => {
        of_each_agent!(@ claude { $($case)* } codex { $($case)* } gemini { $($case)* } opencode { $($case)* });
    };
    (@ $($engine:ident { $($case:ident)* })*) => {
        $(mod $engine {
            $(#[test]
            fn $case() {
                let engine = stringify!($engine);
                let sandbox = crate::harness::sandbox::Sandbox::new();
                match sandbox.install_real(engine) {
                    Ok(()) => super::$case(&sandbox, engine),
                    Err(reason) => super::skipped(concat!(stringify!($engine), " ", stringify!($case)), &reason),
                }
            })*
        })*
    };
}

of_each_agent! {
    does_its_work
    is_refused
    is_denied_its_tool
    does_not_know_a_flag
    is_stopped_with_its_tool
    is_out_of_time
}

fn start<'a>(sandbox: &'a Sandbox, provider: &Provider, engine: &str, scene: &str) -> Run<'a> {
    let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
    let call = provider.seen_by(sandbox, engine, scene, call);
    sandbox.run_of(&call.run().ok().data())
}

/// gemini has no model of its own.
fn define(sandbox: &Sandbox, engine: &str, keys: &Value) {
    let mut all = json!({"timeout_minutes": 3});
    if engine == "gemini" {
        all["model"] = json!("gemini-2.5-pro");
    }
    for (key, value) in keys.as_object().expect("keys are an object") {
        all[key] = value.clone();
    }
    sandbox.agent(engine, &all);
}

#[track_caller]
fn assert_told_no_secret(sandbox: &Sandbox) {
    let found = sandbox.program(["grep", "-rl", KEY, ".lattice", ".git"]).run();
    assert_eq!(found.stdout, "");
}

/// With a call of a tool, a report, and prompts that no command line would take.
fn does_its_work(sandbox: &Sandbox, engine: &str) {
    let provider =
        Provider::start(sandbox, "echo made > made.txt; echo '# Fine' > $LATTICE_REPORT");
    define(sandbox, engine, &json!({"artifact_role": "review"}));
    let long = format!("--\n{}", "a long prompt\n".repeat(22_000));
    for prompt in ["Review it.\n", "-p --help\n", &long] {
        sandbox.prompt(prompt);
        let end = start(sandbox, &provider, engine, "fine").ended_within(LIMIT);
        let data = &end["data"];
        assert_eq!(end["type"], "process_completed", "{end}");
        assert!(data["artifact_id"].is_string(), "{end}");
        let usage = &data["usage"];
        let tokens =
            ["input_tokens", "cached_input_tokens", "output_tokens"].map(|key| &usage[key]);
        assert_eq!(json!(tokens), json!([11_000, 8000, 80]), "{end}");
        assert!(usage["session_id"].is_string(), "{end}");
        let made = format!("{}:made.txt", data["preserved_ref"].as_str().unwrap());
        assert_eq!(sandbox.git(["show", &made]), "made");
        assert_told_no_secret(sandbox);
    }
    drop(provider);
    sandbox.assert_clean();
}

fn is_refused(sandbox: &Sandbox, engine: &str) {
    let provider = Provider::start(sandbox, "true");
    define(sandbox, engine, &json!({}));
    let refusals = [("401", "auth"), ("429", "rate_limit"), ("500", "server"), ("400", "context")];
    for (scene, class) in refusals {
        let end = start(sandbox, &provider, engine, scene).ended_within(LIMIT);
        assert_eq!(end["type"], "process_failed", "{end}");
        assert_eq!(
            (&end["data"]["reason"], &end["data"]["class"]),
            (&json!("engine_error"), &json!(class)),
            "{end}"
        );
        assert_told_no_secret(sandbox);
    }
    drop(provider);
    sandbox.assert_clean();
}

fn is_denied_its_tool(sandbox: &Sandbox, engine: &str) {
    let provider = Provider::start(sandbox, "touch made");
    let (keys, scene) = match engine {
        "claude" => (json!({"args": ["--permission-mode", "dontAsk"]}), "fine"),
        "codex" => (json!({"args": ["-s", "workspace-write"]}), "escalate"),
        "gemini" => (json!({"args": ["--approval-mode", "default"]}), "unoffered"),
        _ => (json!({"env": {"set": {"OPENCODE_PERMISSION": r#"{"bash": "deny"}"#}}}), "unoffered"),
    };
    define(sandbox, engine, &keys);
    let end = start(sandbox, &provider, engine, scene).ended_within(LIMIT);
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!(
        (&end["data"]["class"], &end["data"]["exit_code"]),
        (&json!("permissions"), &json!(0)),
        "{end}"
    );
    assert_eq!(end["data"]["denied"].as_array().unwrap().len(), 1, "{end}");
}

fn does_not_know_a_flag(sandbox: &Sandbox, engine: &str) {
    let provider = Provider::start(sandbox, "true");
    define(sandbox, engine, &json!({"args": ["--full-auto"]}));
    let end = start(sandbox, &provider, engine, "fine").ended_within(LIMIT);
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["class"]),
        (&json!("exited"), &json!("bad_flags")),
        "{end}"
    );
}

/// Whatever sessions it has put them in.
fn is_stopped_with_its_tool(sandbox: &Sandbox, engine: &str) {
    let tool = sandbox.fake_line(&["ignore=TERM", "spawn-setsid=server", "connect=tool", "wait"]);
    let provider = Provider::start(sandbox, &tool);
    define(sandbox, engine, &json!({"grace_seconds": 2}));
    let run = start(sandbox, &provider, engine, "fine");
    let peers = ["server", "tool"].map(|name| sandbox.socket.peer_within(name, LIMIT));
    sandbox.lattice(["worker", "stop", &run.id]).run().exits(0);
    let end = run.ended_within(LIMIT);
    assert_eq!(end["data"]["reason"], "stopped", "{end}");
    assert!(peers.iter().all(|peer| peer.is_dead()), "{end}");
    drop(provider);
    sandbox.assert_clean();
}

/// Nobody answers it, and it would wait for ever.
fn is_out_of_time(sandbox: &Sandbox, engine: &str) {
    let provider = Provider::start(sandbox, "true");
    define(sandbox, engine, &json!({"timeout_minutes": 0.15, "grace_seconds": 2}));
    let end = start(sandbox, &provider, engine, "hang").ended_within(LIMIT);
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["class"]),
        (&json!("timed_out"), &json!("timeout")),
        "{end}"
    );
    drop(provider);
    sandbox.assert_clean();
}
