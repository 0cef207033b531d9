//! `next`: what is offered to whom, and claims.

use std::thread;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::tracker_refusals::refused;

#[track_caller]
fn next(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let call = sandbox.lattice(["next"]);
    arguments.iter().fold(call, |call, argument| call.arg(*argument)).run().silent()
}

fn create(sandbox: &Sandbox, title: &str, options: &[&str]) -> String {
    let call = sandbox.lattice(["create", title, "--actor", ACTOR, "--json"]);
    let data = options.iter().fold(call, |call, option| call.arg(*option)).run().ok().data();
    data["id"].as_str().unwrap().to_owned()
}

fn plan(sandbox: &Sandbox, task: &str) {
    fs::write(sandbox.lattice_dir().join(format!("plans/{task}.md")), "Do it.\n").unwrap();
}

#[test]
fn nothing_in_three_forms() {
    let sandbox = Sandbox::without_git();
    next(&sandbox, &["--status", "review"]).ok().stdout("No tasks available.\n");
    next(&sandbox, &["--status", "review", "--quiet"]).ok().stdout("");
    let json = next(&sandbox, &["--status", "review", "--json"]).ok().json();
    assert_eq!(json, json!({"data": null, "ok": true}));
}

#[test]
fn the_best_free_task_in_three_forms() {
    let sandbox = Sandbox::without_git();
    let high = create(&sandbox, "Second", &["--priority", "high"]);
    create(&sandbox, "Third", &["--priority", "critical", "--status", "blocked"]);
    create(&sandbox, "Fourth", &["--priority", "critical", "--assigned-to", "agent:bot"]);
    next(&sandbox, &[]).ok().stdout("LAT-2  backlog  high  \"Second\"\n");
    next(&sandbox, &["--quiet"]).ok().stdout("LAT-2\n");
    next(&sandbox, &["--quiet", "--actor", "agent:bot"]).ok().stdout("LAT-4\n");
    next(&sandbox, &["--quiet", "--status", " blocked , planned"]).ok().stdout("");
    assert_eq!(next(&sandbox, &["--json"]).ok().data()["plan_content"], Value::Null);
    plan(&sandbox, &high);
    let data = next(&sandbox, &["--json"]).ok().data();
    assert_eq!((&data["id"], &data["plan_content"]), (&json!(high), &json!("Do it.\n")));
}

#[test]
fn a_claim_assigns_and_starts_at_one_time() {
    let sandbox = Sandbox::without_git();
    let claim = ["--claim", "--actor", "agent:bot"];
    let words = |form: &'static str| [&["next"][..], &claim, &[form]].concat();
    refused(&sandbox, &["next", "--claim"], "VALIDATION_ERROR");
    refused(&sandbox, &["next", "--actor", "bot"], "INVALID_ACTOR");
    refused(&sandbox, &words("--status=backlog"), "PLAN_REQUIRED");
    plan(&sandbox, &sandbox.task);
    next(&sandbox, &claim).ok().stdout("LAT-1  in_progress  medium  \"First task\"\n");
    let events = sandbox.events().split_off(1);
    let data: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
    let expected = [
        json!({"from": null, "to": "agent:bot"}),
        json!({"from": "backlog", "to": "planned"}),
        json!({"from": "planned", "to": "in_progress"}),
    ];
    assert_eq!(data, expected);
    assert!(events.iter().all(|event| event["ts"] == events[0]["ts"]));
    // What was begun is resumed, and there is nothing to write.
    let before = sandbox.tree();
    next(&sandbox, &[&claim[..], &["--quiet"]].concat()).ok().stdout("LAT-1\n");
    sandbox.assert_unchanged(&before);
    next(&sandbox, &["--claim", "--actor", "agent:other"]).ok().stdout("No tasks available.\n");
}

#[test]
fn a_claim_without_a_way_changes_nothing() {
    let sandbox = Sandbox::without_git();
    plan(&sandbox, &sandbox.task);
    let path = sandbox.lattice_dir().join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut workflow = config["workflow"].clone();
    workflow["transitions"]["backlog"] = json!(["cancelled"]);
    sandbox.configure("workflow", workflow);
    refused(&sandbox, &["next", "--claim", "--actor", "agent:bot"], "INVALID_TRANSITION");
}

/// The Python tool can leave a snapshot that says a task is free when its log says that it is not.
#[test]
fn an_old_snapshot_offers_nothing() {
    let sandbox = Sandbox::without_git();
    sandbox.create("Second");
    let path = sandbox.lattice_dir().join(format!("tasks/{}.json", sandbox.task));
    let old = fs::read(&path).unwrap();
    sandbox.lattice(["assign", "LAT-1", "agent:bot", "--actor", ACTOR]).run().ok();
    fs::write(&path, old).unwrap();
    next(&sandbox, &["--quiet"]).ok().stdout("LAT-2\n");
}

#[test]
fn of_many_claims_at_once_each_task_is_one_actors() {
    let sandbox = Sandbox::without_git();
    for title in ["Second", "Third"] {
        sandbox.create(title);
    }
    for task in sandbox.lattice(["list", "--json"]).run().ok().data().as_array().unwrap() {
        plan(&sandbox, task["id"].as_str().unwrap());
    }
    let running: Vec<_> = (0..6)
        .map(|n| {
            let actor = format!("agent:a{n}");
            sandbox.lattice(["next", "--claim", "--json", "--actor", &actor]).start()
        })
        .collect();
    let mut taken = Vec::new();
    for finished in running.into_iter().map(crate::harness::call::Running::finish) {
        match finished.code {
            Some(0) => taken.extend(finished.data()["id"].as_str().map(str::to_owned)),
            _ => assert_eq!(finished.error()["code"], "ALREADY_CLAIMED", "{finished}"),
        }
        thread::yield_now();
    }
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert!(count > 0 && taken.len() == count, "{taken:?}");
}

#[test]
fn a_worker_asks_as_itself() {
    let sandbox = Sandbox::new();
    plan(&sandbox, &sandbox.task);
    sandbox
        .worker("Take", json!({"command": "lattice next --claim --quiet", "actor": "agent:taker"}));
    let run = sandbox.start("Take");
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    assert_eq!(run.log(), "LAT-1\n");
    let assigned = sandbox.events().into_iter().find(|event| event["type"] == "assignment_changed");
    let assigned = assigned.unwrap();
    assert_eq!(
        (&assigned["actor"], &assigned["agent_meta"]["session"]),
        (&json!("agent:taker"), &json!(run.id))
    );
    sandbox.assert_clean();
}
