//! `worker list | ps | show | logs | wait | stop | run --wait`: what they print, and with which status they end.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

#[test]
fn list_tells_what_there_is() {
    let sandbox = Sandbox::new();
    sandbox
        .lattice(["worker", "list"])
        .run()
        .ok()
        .stdout("No workers/ directory found at project root.\n");
    let definition = json!({"command": "true", "description": "Checks it", "worktree": true, "timeout_minutes": 5});
    sandbox.worker("Check", definition);
    let listed = sandbox.lattice(["worker", "list"]).run().ok().silent();
    let line = format!("  {:<25} {:<10} 5m  worktree  Checks it\n", "Check", "script");
    assert_eq!(listed.stdout, line);
    let data = sandbox.lattice(["worker", "list", "--json"]).run().ok().silent().data();
    let expected = json!([{
        "name": "Check", "description": "Checks it", "engine": "script", "timeout_minutes": 5, "worktree": true,
        "actor": "agent:worker", "path": "workers/check.json", "valid": true, "problems": [],
    }]);
    assert_eq!(data, expected);
}

#[test]
fn run_answers_in_words_and_in_json() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Check",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let finished = sandbox.lattice(["worker", "run", "Check", "LAT-1"]).run().ok();
    let main = sandbox.socket.peer("main");
    let pid = main.parent().parent().pid;
    let short = &sandbox.git(["rev-parse", "HEAD"])[..8];
    let text = finished.normal(&finished.stdout);
    let first = format!("Worker Check started for LAT-1 (PID {pid}, commit {short})\n");
    assert!(text.starts_with(&first), "{text}");
    assert!(text.contains("\n  Log: $DIR/.lattice/logs/workers/<ev1>.log\n"), "{text}");
    assert!(
        text.contains("\n  Worktree: $DIR/.lattice/worktrees/")
            && text.contains("\n  Event: <ev1>\n"),
        "{text}"
    );
    main.tell("exit 0");
    eventually("the end", SOON, || {
        sandbox.events().pop().filter(|e| e["type"] == "process_completed").ok_or(String::new())
    });
    let run = sandbox.start("Check");
    sandbox.socket.peer("main").tell("exit 0");
    let started = &run.started;
    assert_eq!((&started["worker"], &started["task_id"]), (&json!("Check"), &json!(sandbox.task)));
    assert_eq!(started["commit_sha"], sandbox.git(["rev-parse", "HEAD"]));
    let log = sandbox.lattice_dir().join(format!("logs/workers/{}.log", run.id));
    assert_eq!(started["log_path"], log.to_str().unwrap());
    run.ended();
}

#[test]
fn ps_shows_what_runs_and_what_ran() {
    let sandbox = Sandbox::new();
    sandbox.lattice(["worker", "ps"]).run().ok().silent().stdout("No active worker processes.\n");
    sandbox.fake_worker("Check", &["print=hello", "connect=main", "wait"]);
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().silent().data();
    let row = &rows[0];
    assert_eq!((&row["run"], &row["started_event_id"]), (&json!(run.id), &json!(run.id)));
    assert_eq!(
        (&row["short_id"], &row["process_type"], &row["state"]),
        (&json!("LAT-1"), &json!("Check"), &json!("running"))
    );
    assert_eq!(
        (&row["engine_pid"], &row["supervisor_pid"]),
        (&json!(main.pid), &run.started["pid"])
    );
    assert_eq!(
        (&row["title"], &row["archived"], &row["task_id"]),
        (&json!("First task"), &json!(false), &json!(sandbox.task))
    );
    assert!(
        row["age_seconds"].is_number() && row["remaining_seconds"].as_f64().unwrap() > 500.0,
        "{row}"
    );
    let human = sandbox.lattice(["worker", "ps"]).run().ok().silent();
    assert!(human.stdout.contains("LAT-1") && human.stdout.contains("Check"), "{human}");
    main.tell("exit 3");
    run.ended();
    sandbox
        .lattice(["worker", "ps", "--json"])
        .run()
        .ok()
        .stdout("{\n  \"data\": [],\n  \"ok\": true\n}\n\n");
    let all = sandbox.lattice(["worker", "ps", "--all", "--json"]).run().ok().data();
    assert_eq!((&all[0]["run"], &all[0]["reason"]), (&json!(run.id), &json!("exited")), "{all}");
    assert!(all[0]["ended_at"].is_string() && all[0]["outcome"].is_string(), "{all}");
}

#[test]
fn show_finds_a_run_by_its_end_and_tells_both_events() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["connect=main", "wait"]);
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    let suffix = run.id[run.id.len() - 6..].to_lowercase();
    let show = |text: &str| sandbox.lattice(["worker", "show", text, "--json"]).run();
    let open = show(&suffix).ok().silent().data();
    assert_eq!(
        (&open["run"], &open["state"], &open["ended"]),
        (&json!(run.id), &json!("running"), &Value::Null)
    );
    assert_eq!(open["started"]["id"], run.id);
    main.tell("exit 0");
    let end = run.ended();
    sandbox.assert_clean();
    let closed = show(&run.id).ok().data();
    assert_eq!((&closed["ended"], &closed["worker"]), (&end, &json!("Check")));
    assert_eq!(closed["spec"]["run_id"], run.id);
    show("ev_01JABCDEFGHJKMNPQRSTVWXYZ0").refused(1, "NOT_FOUND");
    show("abc").refused(1, "INVALID_ID");
}

#[test]
fn logs_show_the_whole_the_tail_and_what_comes() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker(
        "Check",
        &["print=one", "print=two", "connect=main", "wait", "print=three", "exit=0"],
    );
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    eventually("the log has two lines", SOON, || {
        if run.log().lines().count() == 2 { Ok(()) } else { Err(run.log()) }
    });
    sandbox.lattice(["worker", "logs", &run.id]).run().ok().silent().stdout("one\ntwo\n");
    sandbox.lattice(["worker", "logs", "LAT-1", "-n", "1"]).run().ok().silent().stdout("two\n");
    let following = sandbox.lattice(["worker", "logs", "LAT-1", "-f"]).start();
    main.tell("go");
    let followed = following.finish().ok().stdout("one\ntwo\nthree\n");
    assert_eq!(followed.stderr.lines().count(), 1, "one line of outcome: {followed}");
    sandbox.lattice(["worker", "logs", "LAT-1"]).run().ok().silent().stdout("one\ntwo\nthree\n");
}

#[test]
fn wait_ends_with_the_run_and_tells_how() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["connect=main", "wait"]);
    for (exit, status) in [("exit 0", 0), ("exit 3", 4)] {
        let run = sandbox.start("Check");
        let main = sandbox.socket.peer("main");
        let waiting = sandbox.lattice(["worker", "wait", "LAT-1", "--json"]).start();
        let late = sandbox.lattice(["worker", "wait", &run.id, "--timeout", "1", "--json"]).run();
        late.refused(3, "STILL_RUNNING");
        main.tell(exit);
        let finished = waiting.finish().exits(status);
        assert_eq!(finished.json()["data"], run.ended(), "{finished}");
        // It has ended: the same answer again, at once.
        sandbox.lattice(["worker", "wait", &run.id]).run().exits(status);
    }
}

#[test]
fn run_with_wait_is_run_and_wait() {
    let sandbox = Sandbox::new();
    sandbox.worker("Good", json!({"command": "echo hello"}));
    sandbox.worker("Bad", json!({"command": "echo hello; exit 3"}));
    let good = sandbox.lattice(["worker", "run", "Good", "LAT-1", "--wait", "--json"]).run().ok();
    assert_eq!(good.data()["outcome"]["type"], "process_completed");
    let bad = sandbox.lattice(["worker", "run", "Bad", "LAT-1", "--wait", "--json"]).run().exits(4);
    assert_eq!(bad.json()["data"]["outcome"]["data"]["exit_code"], 3, "{bad}");
    let followed = sandbox.lattice(["worker", "run", "Good", "LAT-1", "--follow"]).run().ok();
    assert!(followed.stdout.contains("hello\n"), "{followed}");
}

#[test]
fn an_interrupted_watch_does_not_touch_the_run() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["connect=main", "wait"]);
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    for watch in [&["worker", "wait", "LAT-1"][..], &["worker", "logs", "LAT-1", "-f"]] {
        let watching = sandbox.lattice(watch).start();
        // It watches as soon as it sleeps; before that INT would end it with the same right.
        let pid = watching.process().pid;
        eventually("the command waits", SOON, || {
            let wchan = crate::harness::process::stat_field(pid, 3).unwrap_or_default();
            if wchan == "S" { Ok(()) } else { Err(wchan) }
        });
        assert!(!watching.process().dies_within(Duration::from_millis(300)));
        watching.process().signal(Signal::INT);
        let finished = watching.finish().exits(130);
        assert!(finished.stderr.contains("lattice worker stop"), "{finished}");
        assert!(!main.is_dead());
    }
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
}

#[test]
fn an_interrupted_run_with_wait_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["print=hello", "connect=main", "wait"]);
    for option in ["--wait", "--follow"] {
        let watching = sandbox.lattice(["worker", "run", "Check", "LAT-1", option]).start();
        let main = sandbox.socket.peer("main");
        assert!(!watching.process().dies_within(Duration::from_millis(300)));
        watching.process().signal(Signal::INT);
        let finished = watching.finish().exits(130);
        assert!(finished.stderr.contains("lattice worker stop"), "{finished}");
        assert!(!main.is_dead());
        main.tell("exit 0");
        sandbox.lattice(["worker", "wait", "LAT-1"]).run().ok();
    }
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
}

#[test]
fn stop_ends_the_run_and_tells_it() {
    for now in [false, true] {
        let sandbox = Sandbox::new();
        let steps = ["ignore=TERM", "spawn-setsid=daemon", "connect=main", "wait"];
        sandbox.worker(
            "Check",
            json!({"command": sandbox.fake(&steps), "grace_seconds": 1, "worktree": true}),
        );
        let run = sandbox.start("Check");
        let peers = ["main", "daemon"].map(|name| sandbox.socket.peer(name));
        let call = sandbox.lattice(["worker", "stop", "LAT-1", "--json"]);
        let stopped = if now { call.arg("--now") } else { call }.run().ok();
        assert!(stopped.elapsed < Duration::from_secs(6), "{stopped}");
        let end = stopped.data();
        assert_eq!(end, run.terminal().expect("it returns with the terminal event"));
        assert_eq!(
            (&end["type"], &end["data"]["reason"]),
            (&json!("process_failed"), &json!("stopped"))
        );
        assert!(peers.iter().all(|peer| peer.is_dead()));
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

#[test]
fn s11_stop_is_heard_during_setup() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["connect=setup", "wait"]);
    sandbox.worker("Check", json!({"command": "true", "setup": [line], "worktree": true}));
    let run = sandbox.start("Check");
    let setup = sandbox.socket.peer("setup");
    sandbox.lattice(["worker", "stop", &run.id]).run().ok();
    assert_eq!(run.terminal().unwrap()["data"]["reason"], "stopped");
    assert!(setup.is_dead());
    sandbox.assert_clean();
}

#[test]
fn a_task_with_several_runs_is_ambiguous() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("One", &["connect=one", "wait"]);
    sandbox.fake_worker("Two", &["connect=two", "wait"]);
    let runs = [sandbox.start("One"), sandbox.start("Two")];
    for command in ["wait", "stop", "logs"] {
        let call = sandbox.lattice(["worker", command, "LAT-1"]);
        let call = if command == "logs" { call } else { call.arg("--json") };
        let refused = call.run().exits(1);
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(runs.iter().all(|run| said.contains(&run.id[run.id.len() - 4..])), "{said}");
    }
    for name in ["one", "two"] {
        sandbox.socket.peer(name).tell("exit 0");
    }
    runs.iter().for_each(|run| drop(run.ended()));
    sandbox.lattice(["worker", "stop", "LAT-1", "--json"]).run().refused(1, "NOT_FOUND");
}
