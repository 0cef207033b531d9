//! `worker complete` and `worker fail`: words from inside and outside, taken up by the end or told that it is over.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::SOON;

/// A line of shell that calls the CLI as a worker would.
fn says(words: &str) -> String {
    format!("{} worker {words}", binaries::lattice().display())
}

fn end_of(script: &str) -> Value {
    let sandbox = Sandbox::new();
    sandbox.worker("Talk", json!({"command": script, "worktree": true}));
    let end = sandbox.run_to_end("Talk");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    end
}

#[track_caller]
fn assert_end(end: &Value, kind: &str, reason: &str, exit_code: i32, words: &str) {
    let data = &end["data"];
    let text = if kind == "process_completed" { &data["result"] } else { &data["error"] };
    assert_eq!(
        (&end["type"], &data["reason"], &data["exit_code"], text),
        (&json!(kind), &json!(reason), &json!(exit_code), &json!(words)),
        "{end}"
    );
}

#[test]
fn complete_gives_the_result_of_a_run_that_completes() {
    let end = end_of(&says("complete --result '3 findings'"));
    assert_end(&end, "process_completed", "exited", 0, "3 findings");
    assert!(end["data"].get("reported").is_none(), "said once: {end}");
    assert_eq!(end["data"]["ended_by"], "shim");
}

#[test]
fn complete_does_not_override_a_failure() {
    let end = end_of(&format!("{}; exit 3", says("complete --result 'all fine'")));
    assert_end(&end, "process_failed", "exited", 3, "exited 3");
    let reported = json!({"outcome": "completed", "text": "all fine"});
    assert_eq!(end["data"]["reported"], reported, "not lost either");
}

#[test]
fn fail_overrides_an_exit_whatever_it_is() {
    let end = end_of(&says("fail --error 'tests are red'"));
    assert_end(&end, "process_failed", "reported", 0, "tests are red");
    let end = end_of(&format!("{}; exit 3", says("fail")));
    assert_end(&end, "process_failed", "reported", 3, "Unknown error");
}

#[test]
fn both_forms_of_the_python_tool_work_inside() {
    for ids in [
        "$LATTICE_TASK_ID $LATTICE_STARTED_EVENT_ID",
        "$LATTICE_STARTED_EVENT_ID",
        "$LATTICE_TASK_ID",
        "LAT-1",
    ] {
        let end = end_of(&says(&format!("complete {ids} --result ok --actor agent:bot --json")));
        assert_end(&end, "process_completed", "exited", 0, "ok");
        assert_eq!(end["actor"], "agent:worker", "the start event's");
    }
}

#[test]
fn a_supervisors_fact_stands_beside_the_words() {
    let sandbox = Sandbox::new();
    let script = format!("{}; sleep 1000", says("fail --error 'no more tokens'"));
    let definition = json!({"command": script, "timeout_minutes": 0.02, "grace_seconds": 1});
    sandbox.worker("Slow", definition);
    let end = sandbox.run_to_end("Slow");
    assert_eq!(
        (&end["type"], &end["data"]["reason"]),
        (&json!("process_failed"), &json!("timed_out"))
    );
    let reported = json!({"outcome": "failed", "text": "no more tokens"});
    assert_eq!(end["data"]["reported"], reported, "{end}");
    sandbox.assert_clean();
}

#[test]
fn a_long_text_is_refused_with_the_place_for_it() {
    let script = format!("{}; test $? = 1", says("complete --result \"$(seq 1 1000)\""));
    let sandbox = Sandbox::new();
    sandbox.worker("Long", json!({"command": script}));
    let run = sandbox.start("Long");
    let end = run.ended();
    assert_end(&end, "process_completed", "exited", 0, "exited 0");
    assert!(run.log().contains("$LATTICE_REPORT"), "{}", run.log());
}

#[test]
fn words_are_masked() {
    let sandbox = Sandbox::new();
    let script = says("fail --error \"cannot log in with $API_TOKEN and $OWN_SECRET\"");
    let definition = json!({"command": script, "env": {"set": {"OWN_SECRET": "tulip-4711"}}});
    sandbox.worker("Leak", definition);
    let call = sandbox.lattice(["worker", "run", "Leak", "LAT-1", "--json"]);
    let answer = call.env("API_TOKEN", "planted-0815").run().ok().data();
    let end = sandbox.run_of(&answer).ended();
    let error = "cannot log in with <API_TOKEN> and <OWN_SECRET>";
    assert_end(&end, "process_failed", "reported", 0, error);
    sandbox.assert_clean();
    // From outside, where the caller does not know the worker's secrets, but its supervisor does.
    sandbox.fake_worker("Talk", &["connect=main", "wait"]);
    let call = sandbox.lattice(["worker", "run", "Talk", "LAT-1", "--json"]);
    let answer = call.env("API_TOKEN", "planted-0815").run().ok().data();
    let (run, main) = (sandbox.run_of(&answer), sandbox.socket.peer("main"));
    worker(&sandbox, &["fail", &run.id, "--error", "refused: planted-0815"]).run().ok();
    main.tell("exit 0");
    assert_end(&run.ended(), "process_failed", "reported", 0, "refused: <API_TOKEN>");
    sandbox.assert_clean();
    let text = sandbox.sh("cat .lattice/events/*.jsonl .lattice/logs/workers/*.json").stdout;
    // A value that the definition sets is in the definition, and in the spec.
    assert!(!text.contains("planted-0815"), "{text}");
}

/// A run under supervision, with an engine that waits.
fn waiting(sandbox: &Sandbox) -> (Run<'_>, crate::harness::socket::Peer) {
    sandbox.fake_worker("Talk", &["connect=main", "wait"]);
    let run = sandbox.start("Talk");
    let main = sandbox.socket.peer("main");
    (run, main)
}

fn worker(sandbox: &Sandbox, arguments: &[&str]) -> Call {
    let call = sandbox.lattice(["worker"]);
    arguments.iter().fold(call, |call, argument| call.arg(*argument)).arg("--json")
}

#[test]
fn words_from_outside_are_taken_up_and_then_too_late() {
    let sandbox = Sandbox::new();
    let (run, main) = waiting(&sandbox);
    let fail =
        || worker(&sandbox, &["fail", "LAT-1", &run.id, "--error", "seen from outside"]).run();
    assert_eq!(fail().ok().data(), json!({"event_id": null, "recorded": true}));
    assert_eq!(fail().ok().data(), json!({"event_id": null, "recorded": false}));
    worker(&sandbox, &["complete", &run.id]).run().refused(1, "CONFLICT");
    assert!(run.terminal().is_none() && !main.is_dead(), "the end is the run's own");
    main.tell("exit 0");
    let end = run.ended();
    assert_end(&end, "process_failed", "reported", 0, "seen from outside");
    sandbox.assert_clean();
    assert_eq!(fail().ok().data(), json!({"event_id": end["id"], "recorded": false}));
    // A task with no open run means its newest.
    let again = worker(&sandbox, &["fail", "LAT-1"]).run().ok().data();
    assert_eq!(again["event_id"], end["id"]);
    let error = worker(&sandbox, &["complete", &run.id]).run().refused(1, "CONFLICT");
    assert_eq!(error["event_id"], end["id"]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn what_is_printed() {
    let sandbox = Sandbox::new();
    let (run, main) = waiting(&sandbox);
    let complete = || sandbox.lattice(["worker", "complete", "LAT-1", &run.id]).run();
    complete()
        .ok()
        .silent()
        .stdout("Worker process reported as completed; its end will say so (run: <ev1>)\n");
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
    complete().ok().silent().stdout("Worker process completed (event: <ev2>)\n");
    let refused = sandbox.lattice(["worker", "fail", &run.id]).run().exits(1);
    refused.stdout("").stderr(
        "Error: <ev1> has ended as completed already (event: <ev2>)\n  \
         hint: lattice worker show <ev1>    (tells what is known of it)\n",
    );
    let outside = sandbox.lattice(["worker", "fail"]).run().exits(2);
    assert!(outside.stderr.contains("say which run"), "{outside}");
}

#[test]
fn an_unknown_run_is_not_found_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let before = sandbox.tree();
    let unknown = "ev_01JABCDEFGHJKMNPQRSTVWXYZ0";
    for arguments in [
        &["fail", unknown][..],
        &["complete", unknown],
        &["fail", "LAT-1", unknown],
        &["fail", "LAT-1"],
        &["complete", "LAT-9", unknown],
    ] {
        worker(&sandbox, arguments).run().silent().refused(1, "NOT_FOUND");
    }
    sandbox.assert_unchanged(&before);
    // A run of another task is none of this one.
    let (run, main) = waiting(&sandbox);
    sandbox.create("Second task");
    worker(&sandbox, &["fail", "LAT-2", &run.id]).run().refused(1, "NOT_FOUND");
    main.tell("exit 0");
    run.ended();
}

/// Attack S10: the box is closed before the record is published.
#[test]
fn s10_words_that_come_while_the_end_is_written_are_told_how_it_ended() {
    let sandbox = Sandbox::new();
    let (run, main) = waiting(&sandbox);
    // The shim stands in E3, before the append; its record is published.
    let lock = sandbox.lattice_dir().join(format!("locks/events_{}.lock", sandbox.task));
    let holder =
        sandbox.start_fake(&[&format!("lock={}", lock.display()), "connect=holder", "wait"]);
    let held = sandbox.socket.peer("holder");
    main.tell("exit 0");
    crate::harness::waiting::eventually("the record", SOON, || {
        if run.directory().join("terminal.json").exists() { Ok(()) } else { Err(String::new()) }
    });
    assert!(run.terminal().is_none());
    let late = worker(&sandbox, &["fail", &run.id]).start();
    held.tell("exit 0");
    holder.finish().ok();
    let end = run.ended();
    assert_end(&end, "process_completed", "exited", 0, "exited 0");
    let error = late.finish().refused(1, "CONFLICT");
    assert_eq!(error["event_id"], end["id"]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn words_outlive_the_supervisors() {
    for both in [false, true] {
        let sandbox = Sandbox::new();
        let (run, main) = waiting(&sandbox);
        worker(&sandbox, &["fail", &run.id, "--error", "mine"]).run().ok();
        if both {
            run.lose_supervisors(&main);
            sandbox.lattice(["worker", "reap"]).run().ok();
        } else {
            run.supervisors(&main).0.kill();
        }
        let end = run.ended();
        assert_eq!(end["type"], "process_failed");
        assert_eq!(end["data"]["reported"], json!({"outcome": "failed", "text": "mine"}), "{end}");
        sandbox.assert_clean();
    }
}

#[test]
fn a_dead_run_is_ended_before_anything_is_said_of_it() {
    let sandbox = Sandbox::new();
    let (run, main) = waiting(&sandbox);
    run.lose_supervisors(&main);
    worker(&sandbox, &["complete", &run.id]).run().refused(1, "CONFLICT");
    let end = run.terminal().expect("it was ended");
    assert_eq!(end["data"]["reason"], "supervisor_lost");
    let data = worker(&sandbox, &["fail", &run.id]).run().ok().data();
    assert_eq!(data, json!({"event_id": end["id"], "recorded": false}));
    sandbox.assert_clean();
}

/// A start that nobody here supervises: without `store` the Python tool's, else another machine's.
fn plant_start(sandbox: &Sandbox, id: &str, store: Option<&str>) {
    let mut data = json!({"commit_sha": "unknown", "process_type": "Lint", "timeout_minutes": 5});
    if let Some(store) = store {
        data["store"] = json!(store);
    }
    let event = json!({
        "actor": "agent:bot", "data": data, "id": id, "schema_version": 1, "task_id": sandbox.task,
        "ts": "2026-03-01T10:00:00Z", "type": "process_started",
    });
    let path = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let log = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{log}{event}\n")).unwrap();
}

#[test]
fn an_unsupervised_run_is_ended_by_a_word() {
    let id = "ev_01KJABCDEFGHJKMNPQRSTVWXYZ";
    for store in [None, Some("01KJABCDEFGHJKMNPQRSTVWXY0")] {
        for (command, option, kind, key) in [
            ("complete", "--result", "process_completed", "result"),
            ("fail", "--error", "process_failed", "error"),
        ] {
            let sandbox = Sandbox::new();
            plant_start(&sandbox, id, store);
            let arguments = [command, "LAT-1", id, option, "so it was"];
            let data = worker(&sandbox, &arguments).run().ok().silent().data();
            let events = sandbox.events();
            let end = events.last().unwrap();
            assert_eq!(data, json!({"event_id": end["id"], "recorded": true}));
            assert_eq!((&end["type"], &end["data"][key]), (&json!(kind), &json!("so it was")));
            assert_eq!(
                (&end["actor"], &end["data"]["process_type"], &end["data"]["ended_by"]),
                (&json!("agent:bot"), &json!("Lint"), &json!("cli"))
            );
            assert_eq!(end["data"]["reason"], "reported");
            assert_eq!(sandbox.assert_runs_ended(), 1);
            let again = worker(&sandbox, &[command, id]).run().ok().data();
            assert_eq!(again, json!({"event_id": end["id"], "recorded": false}));
            let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
            assert!(shown.get("active_processes").is_none(), "{shown}");
        }
    }
}

/// A worker of the Python tool calls from inside, with that tool's variables.
#[test]
fn a_worker_of_the_python_tool_ends_its_own_run() {
    let id = "ev_01KJABCDEFGHJKMNPQRSTVWXYZ";
    let sandbox = Sandbox::new();
    sandbox.worker("Lint", json!({"command": "true"}));
    plant_start(&sandbox, id, None);
    let call = sandbox.lattice(["worker", "run", "Lint", "LAT-1", "--json"]);
    let error = call.run().refused(3, "ALREADY_RUNNING");
    assert!(error["message"].to_string().contains("unsupervised"), "{error}");
    assert!(error["hint"].to_string().contains("lattice worker fail ev_"), "{error}");
    let hint = sandbox.lattice(["worker", "wait", id, "--json"]).run().refused(1, "NOT_SUPERVISED");
    assert!(hint["hint"].to_string().contains("lattice worker fail ev_"), "{hint}");
    let call = worker(&sandbox, &["complete", &sandbox.task, id, "--result", "ok"]);
    let data = call
        .env("LATTICE_ROOT", sandbox.lattice_dir())
        .env("LATTICE_TASK_ID", &sandbox.task)
        .env("LATTICE_STARTED_EVENT_ID", id)
        .run()
        .ok()
        .data();
    assert_eq!(data["recorded"], true);
    assert_eq!(sandbox.assert_runs_ended(), 1);
    assert_eq!(sandbox.run_to_end("Lint")["type"], "process_completed", "it may start again");
}

#[test]
fn two_who_end_an_unsupervised_run_agree() {
    let id = "ev_01KJABCDEFGHJKMNPQRSTVWXYZ";
    let sandbox = Sandbox::new();
    plant_start(&sandbox, id, None);
    let calls: Vec<_> = (0..8).map(|_| worker(&sandbox, &["fail", id]).start()).collect();
    let answers: Vec<Value> = calls.into_iter().map(|call| call.finish().ok().data()).collect();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    let first = answers.iter().filter(|answer| answer["recorded"] == true).count();
    assert_eq!(first, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["event_id"] == answers[0]["event_id"]));
}

#[test]
fn a_living_run_without_its_directory_ends_by_itself() {
    let sandbox = Sandbox::new();
    let (run, main) = waiting(&sandbox);
    fs::remove_dir_all(run.directory()).unwrap();
    worker(&sandbox, &["fail", &run.id]).run().refused(3, "STILL_RUNNING");
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn what_an_engine_puts_in_the_box_by_itself_is_no_trap() {
    for trap in ["mkfifo", "ln -s /dev/zero", "mkdir", "head -c 100000 /dev/zero >"] {
        let sandbox = Sandbox::new();
        let script = format!("{trap} \"$LATTICE_DIR/runs/$LATTICE_STARTED_EVENT_ID/reported\"");
        sandbox.worker("Trap", json!({"command": script}));
        let end = sandbox.run_to_end("Trap");
        assert_end(&end, "process_completed", "exited", 0, "exited 0");
        sandbox.assert_clean();
    }
}

#[test]
fn the_end_by_a_word_fires_hooks() {
    let id = "ev_01KJABCDEFGHJKMNPQRSTVWXYZ";
    let sandbox = Sandbox::new();
    plant_start(&sandbox, id, None);
    let seen = sandbox.base.join("seen");
    let hook = format!("cat >> {}", seen.display());
    sandbox.configure("hooks", json!({"on": {"process_failed": hook}}));
    worker(&sandbox, &["fail", id]).run().ok();
    worker(&sandbox, &["fail", id]).run().ok();
    let text = fs::read_to_string(seen).unwrap();
    assert_eq!(text.matches("started_event_id").count(), 1, "{text}");
}
