//! `worker rerun`: the same worker, task, commit and definition; and `worker stop --all`.

use fs_err as fs;
use serde_json::json;

use crate::harness::call::Finished;
use crate::harness::sandbox::Sandbox;

fn rerun(sandbox: &Sandbox, run: &str, options: &[&str]) -> Finished {
    let call = sandbox.lattice(["worker", "rerun", run, "--json"]);
    options.iter().fold(call, |call, option| call.arg(*option)).run()
}

#[test]
fn a_rerun_is_the_run_as_it_was() {
    let sandbox = Sandbox::new();
    let definition = json!({
        "command": "cat README.md; echo $VALUE; exit 3", "worktree": true, "timeout_minutes": 7,
        "env": {"set": {"VALUE": "then"}}, "actor": "agent:first",
    });
    sandbox.worker("Work", definition);
    let first = sandbox.start_with("Work", &["--timeout", "90s", "--actor", "agent:other"]);
    let end = first.ended();
    sandbox.assert_clean();
    let unchanged = rerun(&sandbox, &first.id, &["--wait"]).exits(4);
    assert!(unchanged.json().get("warnings").is_none(), "{unchanged}");
    sandbox.assert_clean();
    // Everything moves on.
    sandbox.write("README.md", "Another text.\n");
    sandbox.worker("Work", json!({"command": "echo now", "worktree": true}));
    sandbox.commit("Moved on");
    let answer = rerun(&sandbox, &first.id[first.id.len() - 6..].to_lowercase(), &[]).ok();
    assert!(
        answer.json()["warnings"][0].to_string().contains("workers/work.json has changed since"),
        "{answer}"
    );
    let again = sandbox.run_of(&answer.data());
    assert_ne!(again.id, first.id);
    let second = again.ended();
    sandbox.assert_clean();
    assert_eq!(again.log(), "A project.\nthen\n");
    for key in ["process_type", "commit_sha", "reason", "exit_code"] {
        assert_eq!(second["data"][key], end["data"][key], "{key}");
    }
    assert_eq!(second["actor"], "agent:other");
    let starts = sandbox.runs_of(&sandbox.task);
    let (then, now) = (&starts[&first.id].0[0], &starts[&again.id].0[0]);
    for key in ["timeout_minutes", "definition", "engine", "commit_sha", "worktree"] {
        assert_eq!(then["data"][key], now["data"][key], "{key}");
    }
    assert_ne!(then["data"]["log_path"], now["data"]["log_path"]);
    // A rerun can be run again, and a definition that is gone does not matter.
    fs::remove_file(sandbox.project.join("workers/work.json")).unwrap();
    let answer = rerun(&sandbox, &again.id, &["--wait"]).exits(4);
    assert!(answer.json()["warnings"][0].to_string().contains("is gone"), "{answer}");
    sandbox.assert_runs_ended();
    sandbox.git(["checkout", "-q", "--", "workers"]);
    sandbox.assert_clean();
}

#[test]
fn a_task_means_its_newest_run() {
    let sandbox = Sandbox::new();
    sandbox.worker("One", json!({"command": "echo 1"}));
    sandbox.worker("Two", json!({"command": "echo 2"}));
    sandbox.run_to_end("One");
    sandbox.run_to_end("Two");
    sandbox.assert_clean();
    let answer = rerun(&sandbox, "LAT-1", &[]).ok();
    assert_eq!(answer.data()["worker"], "Two");
    sandbox.run_of(&answer.data()).ended();
}

#[test]
fn in_place_there_is_only_the_present_and_it_is_said() {
    let sandbox = Sandbox::new();
    sandbox.worker("Here", json!({"command": "cat README.md"}));
    let first = sandbox.start("Here");
    first.ended();
    sandbox.assert_clean();
    sandbox.write("README.md", "Another text.\n");
    sandbox.commit("Moved on");
    let answer = rerun(&sandbox, &first.id, &[]).ok();
    assert!(answer.json()["warnings"][0].to_string().contains("it works in place"), "{answer}");
    let again = sandbox.run_of(&answer.data());
    again.ended();
    assert_eq!(again.log(), "Another text.\n");
    assert_eq!(answer.data()["commit_sha"], sandbox.git(["rev-parse", "HEAD"]));
}

#[test]
fn what_is_refused_changes_nothing() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    rerun(&sandbox, &run.id, &[]).refused(3, "ALREADY_RUNNING");
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
    let before = sandbox.tree();
    rerun(&sandbox, "ev_01JABCDEFGHJKMNPQRSTVWXYZ0", &[]).refused(1, "NOT_FOUND");
    // The commit is gone from the repository.
    let path = sandbox.lattice_dir().join(format!("logs/workers/{}.json", run.id));
    let record = fs::read_to_string(&path).unwrap();
    let sha = sandbox.git(["rev-parse", "HEAD"]);
    fs::write(&path, record.replace(&sha, &"0".repeat(40))).unwrap();
    rerun(&sandbox, &run.id, &[]).refused(1, "GIT_ERROR");
    fs::write(&path, record).unwrap();
    sandbox.assert_unchanged(&before);
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn stop_all_ends_every_run_at_once() {
    let sandbox = Sandbox::new();
    let stop = |options: &[&str]| {
        let call = sandbox.lattice(["worker", "stop", "--all"]);
        options.iter().fold(call, |call, option| call.arg(*option)).run()
    };
    stop(&[]).ok().silent().stdout("No active worker processes.\n");
    assert_eq!(stop(&["--json"]).ok().data(), json!([]));
    let second = sandbox.create("Second task");
    for name in ["one", "two", "three"] {
        let command = sandbox.fake(&["ignore=TERM", &format!("connect={name}"), "wait"]);
        sandbox.worker(name, json!({"command": command, "grace_seconds": 4, "worktree": true}));
    }
    let runs = [sandbox.start("one"), sandbox.start("two")];
    let call = sandbox.lattice(["worker", "run", "three", &second, "--json"]);
    let third = call.run().ok().data()["started_event_id"].as_str().unwrap().to_owned();
    let peers = ["one", "two", "three"].map(|name| sandbox.socket.peer(name));
    let stopped = stop(&["--json"]).ok().silent();
    assert!(peers.iter().all(|peer| peer.is_dead()));
    let events = stopped.data();
    let ids: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["data"]["reason"], "stopped");
            // The whole grace, for each, and not one after the other.
            assert!(event["data"]["wall_seconds"].as_f64().unwrap() > 3.9, "{event}");
            assert_eq!(event["data"]["signal"], 9);
            event["data"]["started_event_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, [runs[0].id.clone(), runs[1].id.clone(), third]);
    assert!(stopped.elapsed.as_secs_f64() < 11.0, "{stopped}");
    sandbox.assert_clean();
    sandbox.lattice(["worker", "stop"]).run().exits(2);
    sandbox.lattice(["worker", "stop", "LAT-1", "--all"]).run().exits(2);
}

#[test]
fn an_agent_is_asked_again_and_for_the_new_run() {
    let sandbox = Sandbox::new();
    sandbox.prompt("Work on {{task.short_id}} in {{worktree}} as {{run}}.\n");
    sandbox.worker(
        "Agent",
        json!({"command": "cat; pwd", "prompt_file": "prompts/p.md", "worktree": true}),
    );
    sandbox.commit("A prompt");
    let first = sandbox.start("Agent");
    first.ended();
    // Neither the prompt of today nor the definition of today is asked for.
    sandbox.prompt("Something else.\n");
    sandbox.worker("Agent", json!({"command": "false"}));
    let again = sandbox.run_of(&rerun(&sandbox, &first.id, &["--wait"]).ok().data());
    let log = again.log();
    let (asked, cwd) = log.trim_end().split_once('\n').unwrap();
    assert_eq!(asked, format!("Work on LAT-1 in {cwd} as {}.", again.id));
    assert!(!log.contains(&first.id), "{log}");
    sandbox.assert_runs_ended();
}
