//! Agents that do their work: command line, surroundings, usage, reports, and ends that are none.

use std::time::Duration;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;

#[track_caller]
fn assert_completed(end: &Value) {
    assert_eq!(end["type"], "process_completed", "{end}");
    assert_eq!(end["data"].get("class"), None, "{end}");
}

#[test]
fn the_definition_decides_model_arguments_program_and_environment() {
    let sandbox = Sandbox::new();
    sandbox.install("claude", &[&format!("cat={}", stream("claude-fine"))]);
    let wrapper = sandbox.bin().join("my-claude");
    fs::write(&wrapper, "#!/bin/sh\nWRAPPED=1 exec claude \"$@\"\n").unwrap();
    sandbox.sh(&format!("chmod +x {}", wrapper.display()));
    let keys = json!({
        "command": ["my-claude"], "model": "opus", "args": ["--max-turns", "3"],
        "env": {"set": {"IS_SANDBOX": "1", "MINE": "x"}},
    });
    sandbox.agent("claude", &keys);
    let run = sandbox.start("Agent");
    assert_completed(&run.ended());
    let seen = sandbox.seen("claude");
    let argv: Vec<&str> =
        seen["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(argv[argv.len() - 4..], ["--model", "opus", "--max-turns", "3"], "{argv:?}");
    assert_eq!((&seen["env"]["WRAPPED"], &seen["env"]["MINE"]), (&json!("1"), &json!("x")));
    let session = argv[argv.iter().position(|word| *word == "--session-id").unwrap() + 1];
    // The run's own number, but for the marks of the version.
    let other = sandbox.start("Agent");
    assert_completed(&other.ended());
    let again = sandbox.seen("claude");
    assert!(!again["argv"].to_string().contains(session), "{session}");
}

#[test]
fn usage_is_shown_and_summed() {
    let sandbox = Sandbox::new();
    assert_completed(&sandbox.agent_ends("claude", "claude-fine", 0));
    let failed = sandbox.agent_ends("claude", "claude-budget", 1);
    assert_eq!(failed["type"], "process_failed");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    let expected = json!({"runs": 2, "turns": 4, "input_tokens": 34408, "cached_input_tokens": 34008,
                          "output_tokens": 64, "cost_usd": 0.0246});
    assert_eq!(shown["usage"], expected);
    let page = sandbox.lattice(["show", "LAT-1"]).run().ok().stdout;
    let line = "\nUsage: 2 runs, 4 turns, 34k tokens in (34k cached), 64 out, $0.0246\n";
    assert!(page.contains(line), "{page}");
    let run = failed["data"]["started_event_id"].as_str().unwrap();
    let shown = sandbox.lattice(["worker", "show", run, "--json"]).run().ok().data();
    assert_eq!(shown["usage"], failed["data"]["usage"]);
    let page = sandbox.lattice(["worker", "show", run]).run().ok().stdout;
    assert!(page.contains("\n  usage: 2 turns, 17k tokens in (17k cached), 32 out, $0.0123, model claude-test-1, session 5f3c8f0e"), "{page}");
    assert!(page.contains("\n  class: budget\n"), "{page}");
}

#[test]
fn no_usage_is_not_zero_usage() {
    let sandbox = Sandbox::new();
    sandbox.worker("Script", json!({"command": "true"}));
    let end = sandbox.run_to_end("Script");
    assert_eq!(end["data"].get("usage"), None);
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(shown.get("usage"), None);
    assert!(!sandbox.lattice(["show", "LAT-1"]).run().ok().stdout.contains("Usage"));
}

#[test]
fn the_last_message_is_the_report_where_the_definition_says_so() {
    for (engine, text) in [
        ("claude", "The change is fine.\n\nNothing to add.\n"),
        ("codex", "Reviewed: no remarks.\n"),
        ("gemini", "No remarks.\n"),
        ("opencode", "No remarks.\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.install(engine, &[&format!("cat={}", stream(&format!("{engine}-fine")))]);
        let keys = json!({"report_from": "final_message", "artifact_role": "review",
                          "report_prefix": "Review: ", "report_dir": "notes/reviews"});
        sandbox.agent(engine, &keys);
        let end = sandbox.run_to_end("Agent");
        assert_completed(&end);
        let id = end["data"]["artifact_id"].as_str().unwrap();
        let artifacts = sandbox.lattice_dir().join("artifacts");
        assert_eq!(fs::read_to_string(artifacts.join(format!("payload/{id}.md"))).unwrap(), text);
        let meta = fs::read_to_string(artifacts.join(format!("meta/{id}.json"))).unwrap();
        assert!(meta.contains("\"Review: First task\""), "{meta}");
        let copy = end["data"]["report_path"].as_str().unwrap();
        assert!(copy.starts_with("notes/reviews/LAT-1-Agent-") && copy.ends_with(".md"), "{copy}");
        assert_eq!(fs::read_to_string(sandbox.project.join(copy)).unwrap(), text);
    }
}

#[test]
fn a_written_report_is_the_report_and_a_missing_one_a_failure() {
    let sandbox = Sandbox::new();
    let fine = format!("cat={}", stream("codex-fine"));
    let keys = json!({"report_from": "final_message", "artifact_role": "review"});
    sandbox.install("codex", &["report=written by hand", &fine]);
    sandbox.agent("codex", &keys);
    let end = sandbox.run_to_end("Agent");
    let id = end["data"]["artifact_id"].as_str().unwrap();
    let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"));
    assert_eq!(fs::read_to_string(payload).unwrap(), "written by hand");
    sandbox.install("codex", &[&fine]);
    sandbox.agent("codex", &json!({"artifact_role": "review"}));
    let end = sandbox.run_to_end("Agent");
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["class"]),
        (&json!("deliverable_missing"), &json!("deliverable"))
    );
}

#[test]
fn a_report_that_cannot_be_copied_is_still_attached() {
    let sandbox = Sandbox::new();
    sandbox.write("notes", "a file, and no directory\n");
    sandbox.commit("Take notes");
    sandbox.install("codex", &["report=text", &format!("cat={}", stream("codex-fine"))]);
    sandbox.agent("codex", &json!({"artifact_role": "review", "report_dir": "notes"}));
    let end = sandbox.run_to_end("Agent");
    assert_completed(&end);
    assert!(end["data"]["artifact_id"].is_string(), "{end}");
    assert!(end["data"]["report_not_copied"].as_str().unwrap().contains("notes"), "{end}");
}

#[test]
fn a_result_that_came_before_the_time_was_up_counts() {
    let sandbox = Sandbox::new();
    sandbox.install("codex", &[&format!("cat={}", stream("codex-fine")), "connect=main", "wait"]);
    sandbox.agent("codex", &json!({"timeout_minutes": 0.03}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    let end = run.ended();
    assert_completed(&end);
    assert!(main.is_dead());
    assert_eq!(end["data"]["lingered"], true);
}

/// Some tools print a last record of an error when they get a signal. The one before was the result.
#[test]
fn what_an_engine_says_while_it_is_being_ended_is_not_its_result() {
    let sandbox = Sandbox::new();
    let script = format!(
        "last=$(<{}); trap 'echo \"$last\"; exit 0' TERM; cat {}; while :; do sleep 0.05; done",
        stream("claude-interrupted"),
        stream("claude-fine")
    );
    sandbox.install("claude", &["exec=bash", "-c", &script]);
    sandbox.agent("claude", &json!({"result_grace_seconds": 0.3, "grace_seconds": 20}));
    let run = sandbox.start("Agent");
    let end = run.ended();
    assert_completed(&end);
    assert!(run.log().contains("error_during_execution"), "it was given the time to say it");
    assert_eq!((&end["data"]["lingered"], &end["data"]["exit_code"]), (&json!(true), &json!(0)));
}

/// A task in the background ends after the first result, and its turn is work like any other.
#[test]
fn an_engine_that_goes_on_after_a_result_is_let_go_on() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(stream("claude-background")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (first, second) = (sandbox.base.join("first"), sandbox.base.join("second"));
    fs::write(&first, lines[..3].concat()).unwrap();
    fs::write(&second, lines[3..].concat()).unwrap();
    let (first, second) = (format!("cat={}", first.display()), format!("cat={}", second.display()));
    sandbox.install("claude", &[&first, "connect=busy", "wait", &second, "exit=0"]);
    sandbox.agent("claude", &json!({"result_grace_seconds": 0.1}));
    let run = sandbox.start("Agent");
    let busy = sandbox.socket.peer("busy");
    assert!(!busy.dies_within(Duration::from_secs(1)), "it works on in spite of its result");
    busy.tell("go");
    let end = run.ended();
    assert_completed(&end);
    assert_eq!(end["data"].get("lingered"), None);
    assert_eq!((&end["data"]["exit_code"], &end["data"]["usage"]["turns"]), (&json!(0), &json!(4)));
}
