//! Agents that fail: each class, exits that lie, and what a person is told.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

#[track_caller]
fn check(engine: &str, name: &str, code: u8, reason: &str, class: &Value) {
    let sandbox = Sandbox::new();
    let end = sandbox.agent_ends(engine, name, code);
    let data = &end["data"];
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!((&data["reason"], &data["class"]), (&json!(reason), class), "{end}");
    assert_eq!(data["exit_code"], code, "{end}");
    let error = data["error"].as_str().unwrap();
    assert!(error.starts_with(engine) && error.chars().count() <= 200, "{error}");
    sandbox.assert_clean();
}

#[test]
fn an_exit_of_zero_with_denied_permissions_says_what_to_allow() {
    let sandbox = Sandbox::new();
    let end = sandbox.agent_ends("claude", "claude-denied", 0);
    assert_eq!(end["data"]["denied"], json!(["Bash"]));
    let error = "claude was not allowed to do its work: 1 tool call denied, of Bash; \
                 allow it in `args`, or in its settings";
    assert_eq!(end["data"]["error"], error);
}

#[test]
fn output_without_a_result_is_no_result_whatever_the_exit() {
    for name in ["codex-cut", "gemini-cut", "opencode-cut"] {
        let engine = name.trim_end_matches("-cut");
        check(engine, name, 0, "no_result", &Value::Null);
    }
}

#[test]
fn a_flag_that_is_not_understood_any_more() {
    let sandbox = Sandbox::new();
    sandbox.install("codex", &["exit=0"]);
    sandbox.agent("codex", &json!({"args": ["--full-auto"]}));
    let end = sandbox.run_to_end("Agent");
    let data = &end["data"];
    assert_eq!(
        (&data["reason"], &data["class"], &data["exit_code"]),
        (&json!("exited"), &json!("bad_flags"), &json!(2)),
        "{end}"
    );
    let error = "codex does not know its command line: error: unexpected argument '--full-auto' found; \
                 install the version that this lattice calls, or set `command` and `args`";
    assert_eq!(data["error"], error);
}

#[test]
fn an_engine_that_was_waiting_for_something_says_what() {
    let sandbox = Sandbox::new();
    sandbox
        .install("codex", &[&format!("cat={}", stream("codex-offline")), "connect=main", "wait"]);
    sandbox.agent("codex", &json!({"timeout_minutes": 0.03}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    let end = run.ended();
    assert!(main.is_dead());
    let data = &end["data"];
    assert_eq!((&data["reason"], &data["class"]), (&json!("timed_out"), &json!("timeout")));
    let error = data["error"].as_str().unwrap();
    let last = "the last error of its engine: Reconnecting... waiting for network";
    assert!(error.contains(last), "{error}");
    assert!(data["usage"]["session_id"].is_string(), "{end}");
}

/// It prints what it is waiting for, with a trace, and no record.
#[test]
fn an_engine_that_tries_for_ever_says_why() {
    let sandbox = Sandbox::new();
    let retries = format!("cat={}", stream("gemini-retries"));
    sandbox.install("gemini", &[&retries, "connect=main", "wait"]);
    sandbox.agent("gemini", &json!({"timeout_minutes": 0.03}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    let end = run.ended();
    assert!(main.is_dead());
    let error = end["data"]["error"].as_str().unwrap();
    assert!(
        error.contains("the last error of its engine: Attempt 3 failed with status 429"),
        "{error}"
    );
}

/// It may say anything while it is being ended, and exit 0: its supervisor knows better.
#[test]
fn an_engine_that_exits_0_on_a_signal_has_not_succeeded() {
    let sandbox = Sandbox::new();
    sandbox.install("gemini", &["connect=main", "wait"]);
    sandbox.agent("gemini", &json!({"timeout_minutes": 5}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    main.tell("exit 0");
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "no_result", "{end}");
}

/// The shim is killed after the engine has told its failure and exited: the warden reads it from the log.
#[test]
fn the_verdict_is_the_same_from_the_log() {
    for (name, code, reason, turns) in
        [("claude-401", 1, "engine_error", 1), ("claude-fine", 0, "exited", 2)]
    {
        let sandbox = Sandbox::new();
        let steps = [&format!("cat={}", stream(name)), "connect=main", "wait"];
        sandbox.install("claude", &steps);
        sandbox.agent("claude", &json!({"result_grace_seconds": 60}));
        let run = sandbox.start("Agent");
        let main = sandbox.socket.peer("main");
        let (shim, _) = run.supervisors(&main);
        // The engine may be faster than the word that it has begun.
        shim.wait_polling();
        // Stopped, it cannot see the exit; the warden sees it as it was, behind the shim's death.
        shim.signal(Signal::STOP);
        main.tell(&format!("exit {code}"));
        main.wait_dead(SOON);
        shim.kill();
        let end = run.ended();
        assert_eq!(
            (&end["data"]["ended_by"], &end["data"]["reason"]),
            (&json!("warden"), &json!(reason)),
            "{end}"
        );
        assert_eq!(end["data"]["usage"]["turns"], turns, "{end}");
    }
}

/// Nobody saw how it ended, but what it had used is in its log.
#[test]
fn a_reaper_knows_the_usage_too() {
    let sandbox = Sandbox::new();
    let steps = [&format!("cat={}", stream("claude-fine")), "connect=main", "wait"];
    sandbox.install("claude", &steps);
    sandbox.agent("claude", &json!({"result_grace_seconds": 60}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    // What is still in the pipe dies with them.
    eventually("its result is in the log", SOON, || {
        let log = run.log();
        if log.contains("total_cost_usd") { Ok(()) } else { Err(log) }
    });
    run.lose_supervisors(&main);
    sandbox.lattice(["worker", "reap"]).run().ok();
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "supervisor_lost", "{end}");
    assert_eq!(end["data"]["usage"]["cost_usd"], 0.0158, "{end}");
    sandbox.assert_clean();
}

/// Neither whole nor, where a sentence is cut, in part.
#[test]
fn no_secret_is_told_with_the_engines_words() {
    let secret = "sk-test-0123456789abcdef";
    for before in [10, 145, 150, 155] {
        let sandbox = Sandbox::new();
        let record = json!({"type": "result", "subtype": "success", "is_error": true, "session_id": "s",
                            "result": format!("{} {secret}", "y".repeat(before))});
        let path = sandbox.base.join("leak");
        fs_err::write(&path, format!("{record}\n")).unwrap();
        sandbox.install("claude", &[&format!("cat={}", path.display()), "exit=1"]);
        sandbox.agent("claude", &json!({}));
        let call = sandbox.lattice(["worker", "run", "Agent", "LAT-1", "--json"]);
        let started = call.env("ANTHROPIC_API_KEY", secret).run().ok().data();
        let end = sandbox.run_of(&started).ended();
        let error = end["data"]["error"].as_str().unwrap();
        assert!(error.starts_with("claude reported an error: yyyy"), "{error}");
        assert!(!error.contains("sk-"), "{error}");
        sandbox.assert_clean();
        let found = sandbox.program(["grep", "-rl", "sk-test", ".lattice"]).run();
        assert_eq!(found.stdout, "");
    }
}
