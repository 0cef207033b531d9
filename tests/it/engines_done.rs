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
    let expected = json!({"runs": 2, "turns": 3, "input_tokens": 16500, "cached_input_tokens": 12000,
                          "output_tokens": 120, "cost_usd": 0.0237});
    assert_eq!(shown["usage"], expected);
    let page = sandbox.lattice(["show", "LAT-1"]).run().ok().stdout;
    let line = "\nUsage: 2 runs, 3 turns, 16k tokens in (12k cached), 120 out, $0.0237\n";
    assert!(page.contains(line), "{page}");
    let run = failed["data"]["started_event_id"].as_str().unwrap();
    let shown = sandbox.lattice(["worker", "show", run, "--json"]).run().ok().data();
    assert_eq!(shown["usage"], failed["data"]["usage"]);
    let page = sandbox.lattice(["worker", "show", run]).run().ok().stdout;
    assert!(page.contains("\n  usage: 1 turn, 5.5k tokens in (4.0k cached), 40 out, $0.0079, model claude-opus-5-5, session 00000000-"), "{page}");
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
    let text = "The change is fine.\n\nNothing to add.\n";
    for engine in ["claude", "codex", "gemini", "opencode"] {
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

/// A task in the background goes on behind the first result, and then there is a turn like any other.
#[test]
fn an_engine_that_goes_on_after_a_result_is_let_go_on() {
    let text = fs::read_to_string(stream("claude-background")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let result = lines.iter().position(|line| line.contains("\"type\":\"result\"")).unwrap();
    for until in [result + 1, lines.len() - 1] {
        let sandbox = Sandbox::new();
        let (first, second) = (sandbox.base.join("first"), sandbox.base.join("second"));
        fs::write(&first, lines[..until].concat()).unwrap();
        fs::write(&second, lines[until..].concat()).unwrap();
        let [first, second] = [first, second].map(|path| format!("cat={}", path.display()));
        sandbox.install("claude", &[&first, "connect=busy", "wait", &second, "exit=0"]);
        sandbox.agent("claude", &json!({"result_grace_seconds": 0.1}));
        let run = sandbox.start("Agent");
        let busy = sandbox.socket.peer("busy");
        assert!(!busy.dies_within(Duration::from_secs(1)), "it works on in spite of its result");
        busy.tell("go");
        let end = run.ended();
        assert_completed(&end);
        let data = &end["data"];
        assert_eq!(data.get("lingered"), None);
        assert_eq!((&data["exit_code"], &data["usage"]["turns"]), (&json!(0), &json!(3)));
    }
}

/// Such as a server that it has forgotten: then its time is up, and its result is one.
#[test]
fn an_engine_that_waits_behind_its_result_for_what_does_not_end_has_told_it() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(stream("claude-lingering")).unwrap();
    let result = text.find("\"type\":\"result\"").unwrap();
    let until = result + text[result..].find('\n').unwrap() + 1;
    let path = sandbox.base.join("waits");
    fs::write(&path, &text[..until]).unwrap();
    let steps = [&format!("cat={}", path.display()), "connect=main", "wait"];
    sandbox.install("claude", &steps);
    sandbox.agent("claude", &json!({"timeout_minutes": 0.06, "result_grace_seconds": 0.1}));
    let run = sandbox.start("Agent");
    let main = sandbox.socket.peer("main");
    let end = run.ended();
    assert_completed(&end);
    assert!(main.is_dead());
    assert_eq!(end["data"]["lingered"], true);
    assert!(end["data"]["duration_seconds"].as_f64().unwrap() >= 3.6, "{end}");
}
