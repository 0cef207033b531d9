//! How runs end: exit codes, signals, timeouts, daemons, and a log that loses no line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;

/// The facts that every terminal event states, whoever wrote it.
#[track_caller]
pub fn assert_facts(sandbox: &Sandbox, end: &Value) {
    let starts = sandbox.runs_of(&sandbox.task);
    let (start, _) = &starts[end["data"]["started_event_id"].as_str().unwrap()];
    for key in ["process_type", "commit_sha", "log_path"] {
        assert_eq!(end["data"][key], start[0]["data"][key], "{key}");
    }
    assert_eq!(end["actor"], start[0]["actor"]);
    for key in ["duration_seconds", "wall_seconds", "log_bytes", "swept"] {
        assert!(end["data"][key].is_number(), "{key} in {end}");
    }
    assert_eq!(end["data"]["ended_by"], "shim");
    sandbox.assert_clean();
    sandbox.assert_runs_ended();
}

#[track_caller]
fn assert_failed(end: &Value, reason: &str, exit_code: &Value, signal: &Value) {
    assert_eq!(end["type"], "process_failed", "{end}");
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["exit_code"], &end["data"]["signal"]),
        (&json!(reason), exit_code, signal),
        "{end}"
    );
    let error = end["data"]["error"].as_str().unwrap();
    assert!(!error.is_empty() && error.chars().count() <= 200 && !error.contains('\n'), "{error}");
}

#[test]
fn exit_0_completes() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Fine",
        json!({"command": "echo done", "timeout_minutes": 5, "actor": "agent:bot"}),
    );
    let run = sandbox.start("Fine");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed");
    assert_eq!((&end["data"]["reason"], &end["data"]["exit_code"]), (&json!("exited"), &json!(0)));
    assert_eq!((&end["data"]["signal"], &end["data"]["swept"]), (&Value::Null, &json!(0)));
    assert_eq!(end["data"]["result"], "exited 0");
    assert!(end["data"].get("log_tail").is_none(), "only on failure");
    assert_eq!((run.log().as_str(), &end["data"]["log_bytes"]), ("done\n", &json!(5)));
    assert_facts(&sandbox, &end);
    let start = &sandbox.runs_of(&sandbox.task)[&run.id].0[0];
    assert_eq!(
        (&start["actor"], &start["data"]["timeout_minutes"]),
        (&json!("agent:bot"), &json!(5))
    );
    assert_eq!(start["data"]["commit_sha"], sandbox.git(["rev-parse", "HEAD"]));
    assert_eq!(
        (&start["data"]["engine"], &start["data"]["worktree"]),
        (&json!("script"), &json!(false))
    );
    assert_eq!(start["data"]["definition"]["path"], "workers/fine.json");
    assert!(start["data"]["host"].is_string() && start["data"]["store"].is_string(), "{start}");
}

#[test]
fn exit_3_fails_with_3() {
    let sandbox = Sandbox::new();
    sandbox.worker("Three", json!({"command": "echo last words; exit 3"}));
    let end = sandbox.run_to_end("Three");
    assert_failed(&end, "exited", &json!(3), &Value::Null);
    assert!(end["data"]["log_tail"].to_string().contains("last words"), "{end}");
    assert_facts(&sandbox, &end);
}

#[test]
fn a_signal_is_told_and_no_exit_code_is_made_up() {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("ABRT", 6)] {
        let sandbox = Sandbox::new();
        sandbox.fake_worker("Dies", &[&format!("kill-self={name}")]);
        let end = sandbox.run_to_end("Dies");
        assert_failed(&end, "signaled", &Value::Null, &json!(number));
        assert_facts(&sandbox, &end);
    }
}

#[test]
fn m2_an_engine_that_cannot_be_executed_is_no_exit_127() {
    let sandbox = Sandbox::new();
    sandbox.write("tool", "#!/nonexistent/interpreter\n");
    sandbox.sh("chmod +x tool && git add tool && git commit -q -m Tool");
    sandbox.worker("Bad", json!({"command": ["./tool"], "worktree": true}));
    let end = sandbox.run_to_end("Bad");
    assert_failed(&end, "spawn_failed", &Value::Null, &Value::Null);
    assert_facts(&sandbox, &end);
}

#[test]
fn an_exit_code_of_127_stays_one() {
    let sandbox = Sandbox::new();
    sandbox.worker("Shell", json!({"command": "no_such_command_at_all"}));
    let end = sandbox.run_to_end("Shell");
    assert_failed(&end, "exited", &json!(127), &Value::Null);
}

#[test]
fn a_tree_that_ignores_term_is_dead_in_time() {
    let sandbox = Sandbox::new();
    let (timeout, grace) = (Duration::from_millis(1200), Duration::from_secs(1));
    let steps = [
        "ignore=TERM,INT,HUP",
        "spawn-child=a",
        "spawn-setsid=b",
        "spawn-double-fork=c",
        "connect=main",
        "wait",
    ];
    let command = sandbox.fake(&steps);
    sandbox.worker(
        "Stuck",
        json!({"command": command, "timeout_minutes": 0.02, "grace_seconds": 1, "worktree": true}),
    );
    let run = sandbox.start("Stuck");
    let peers = ["main", "a", "b", "c"].map(|name| sandbox.socket.peer(name));
    let ready = Instant::now();
    for peer in &peers {
        peer.wait_dead((timeout + grace + Duration::from_secs(1)).saturating_sub(ready.elapsed()));
    }
    let end = run.ended();
    assert_failed(&end, "timed_out", &Value::Null, &json!(9));
    assert_eq!(end["data"]["swept"], 3);
    assert_facts(&sandbox, &end);
}

#[test]
fn a_tree_that_obeys_term_is_not_killed() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo cleaning up; exit 0' TERM; echo ready; sleep 1000 & wait";
    sandbox
        .worker("Polite", json!({"command": script, "timeout_minutes": 0.01, "grace_seconds": 30}));
    let run = sandbox.start("Polite");
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["reason"]),
        (&json!("process_failed"), &json!("timed_out"))
    );
    assert!(run.log().contains("cleaning up"));
    assert!(end["data"]["wall_seconds"].as_f64().unwrap() < 20.0, "{end}");
    assert_facts(&sandbox, &end);
}

#[test]
fn silence_for_too_long_is_an_end() {
    let sandbox = Sandbox::new();
    let script = "echo talking; sleep 1000";
    let definition = json!({"command": script, "idle_timeout_minutes": 0.01, "grace_seconds": 1});
    sandbox.worker("Silent", definition);
    let end = sandbox.run_to_end("Silent");
    assert_eq!(end["data"]["reason"], "idle");
    assert_facts(&sandbox, &end);
}

#[test]
fn the_caller_may_set_another_limit() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Long",
        json!({"command": "sleep 1000", "timeout_minutes": 60, "grace_seconds": 1}),
    );
    let run = sandbox.start_with("Long", &["--timeout", "1s"]);
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "timed_out");
    sandbox.lattice(["worker", "run", "Long", "LAT-1", "--timeout=0"]).run().exits(1);
    for limit in ["soon", "-1", "1x"] {
        sandbox
            .lattice(["worker", "run", "Long", "LAT-1", &format!("--timeout={limit}")])
            .run()
            .exits(2);
    }
    assert_facts(&sandbox, &end);
}

#[test]
fn s6_no_line_is_lost_to_a_reopened_stderr() {
    let sandbox = Sandbox::new();
    let script =
        "echo one; echo two >&2; echo three > /dev/stderr; echo four > /dev/stdout; echo five";
    sandbox.worker("Shell", json!({"command": script}));
    let run = sandbox.start("Shell");
    let end = run.ended();
    assert_eq!(run.log(), "one\ntwo\nthree\nfour\nfive\n");
    assert_facts(&sandbox, &end);
}

#[test]
fn much_output_arrives_whole() {
    let sandbox = Sandbox::new();
    sandbox.worker("Loud", json!({"command": "seq 1 200000"}));
    let run = sandbox.start("Loud");
    let end = run.ended();
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(run.log() == expected, "{} bytes of {}", run.log().len(), expected.len());
    assert_eq!(end["data"]["log_bytes"], expected.len());
}

#[test]
fn setup_commands_run_first_and_their_failure_is_the_end() {
    let sandbox = Sandbox::new();
    let setup = json!(["echo prepared > made-by-setup", "echo more >> made-by-setup"]);
    sandbox
        .worker("Ready", json!({"command": "cat made-by-setup", "setup": setup, "worktree": true}));
    let run = sandbox.start("Ready");
    assert_eq!(run.ended()["type"], "process_completed");
    assert!(run.log().contains("prepared\nmore\n"), "{}", run.log());
    let command = sandbox.fake(&["connect=never"]);
    let setup = json!(["echo about to fail; exit 7", "echo not reached"]);
    sandbox.worker("Unready", json!({"command": command, "setup": setup, "worktree": true}));
    let run = sandbox.start("Unready");
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["reason"]),
        (&json!("process_failed"), &json!("setup_failed"))
    );
    assert!(
        run.log().contains("about to fail") && !run.log().contains("not reached"),
        "{}",
        run.log()
    );
    assert!(sandbox.socket.others().is_empty(), "the engine was not started");
    assert_facts(&sandbox, &end);
}

#[test]
fn setup_has_a_limit_of_its_own() {
    let sandbox = Sandbox::new();
    let hang = sandbox.fake_line(&["connect=main", "spawn-setsid=tool", "ignore=TERM", "wait"]);
    sandbox.worker(
        "Slow",
        json!({"command": sandbox.fake(&["connect=never"]), "worktree": true, "setup": [hang],
               "setup_timeout_minutes": 0.01, "grace_seconds": 0.2, "timeout_minutes": 60}),
    );
    let run = sandbox.start("Slow");
    let main = sandbox.socket.peer("main");
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["reason"], &end["data"]["signal"]),
        (&json!("process_failed"), &json!("setup_failed"), &json!(9)),
        "{end}"
    );
    let error = end["data"]["error"].as_str().unwrap();
    assert!(error.contains("setup") && main.is_dead(), "{end}");
    assert!(sandbox.socket.others().iter().all(|peer| peer.is_dead()), "nothing of it is left");
    sandbox.assert_clean();
}
