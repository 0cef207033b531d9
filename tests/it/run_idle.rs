//! `idle_timeout_minutes`: silence ends a run, and only silence of the engine.

use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;

/// 0.9 seconds.
const IDLE: f64 = 0.015;

fn end_of(script: &str, setup: &Value) -> (Sandbox, Value) {
    let sandbox = Sandbox::new();
    let definition = json!({
        "command": script, "setup": setup, "idle_timeout_minutes": IDLE, "grace_seconds": 1, "worktree": true,
    });
    sandbox.worker("Talk", definition);
    let end = sandbox.run_to_end("Talk");
    sandbox.assert_clean();
    (sandbox, end)
}

#[test]
fn whoever_goes_on_talking_is_not_idle() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.3; done";
    let (_, end) = end_of(script, &json!([]));
    assert_eq!(end["type"], "process_completed", "{end}");
    assert!(end["data"]["wall_seconds"].as_f64().unwrap() > 2.7, "{end}");
}

#[test]
fn words_on_stderr_count_as_well() {
    let script = "for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.3; done";
    let (_, end) = end_of(script, &json!([]));
    assert_eq!(end["type"], "process_completed", "{end}");
}

#[test]
fn a_silent_setup_has_its_own_limit() {
    let (_, end) = end_of("echo hello", &json!(["sleep 2"]));
    assert_eq!(end["type"], "process_completed", "{end}");
}

/// What it said before counts from its last word, also if all of it comes from a child that outlives its parent.
#[test]
fn silence_is_counted_from_the_last_word() {
    let script = "trap '' TERM; echo first; sleep 0.5; echo last; sleep 1000";
    let (_, end) = end_of(script, &json!([]));
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["signal"]),
        (&json!("idle"), &json!(9)),
        "{end}"
    );
    let wall = end["data"]["wall_seconds"].as_f64().unwrap();
    assert!(wall > 1.4, "idle time and grace: {end}");
    assert!(end["data"]["error"].as_str().unwrap().contains("printed nothing"), "{end}");
    assert!(end["data"]["log_tail"].as_str().unwrap().ends_with("last"), "{end}");
}

#[test]
fn an_engine_that_is_stopped_is_silent() {
    let (_, end) = end_of("echo hello; kill -STOP $$", &json!([]));
    assert_eq!(end["data"]["reason"], "idle", "{end}");
}
