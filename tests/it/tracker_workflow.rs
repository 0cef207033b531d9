//! `status` and `complete`: the rules of the workflow in their order, plans, policies, hooks.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::tracker_refusals::{archive, refused};

#[track_caller]
fn status(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let call = sandbox.lattice(["status", "LAT-1", "--actor", ACTOR]);
    arguments.iter().fold(call, |call, argument| call.arg(*argument)).run().silent()
}

/// Through steps that the workflow has.
#[track_caller]
fn walk(sandbox: &Sandbox, statuses: &[&str]) {
    for to in statuses {
        status(sandbox, &[to]).ok();
    }
}

fn plan_path(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.lattice_dir().join(format!("plans/{}.md", sandbox.task))
}

fn plan(sandbox: &Sandbox) {
    fs::write(plan_path(sandbox), "# LAT-1: First task\n\n- do it\n").unwrap();
}

fn workflow(sandbox: &Sandbox, changes: &Value) {
    let path = sandbox.lattice_dir().join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut workflow = config["workflow"].clone();
    for (key, value) in changes.as_object().unwrap() {
        workflow[key] = value.clone();
    }
    sandbox.configure("workflow", workflow);
}

fn refuse(sandbox: &Sandbox, arguments: &[&str], code: &str) {
    let words = [&["status", "LAT-1", "--actor", ACTOR], arguments].concat();
    refused(sandbox, &words, code);
}

#[test]
fn a_step_in_three_forms_and_the_same_again() {
    let sandbox = Sandbox::without_git();
    status(&sandbox, &["planned"]).ok().stdout("Status: backlog -> planned (LAT-1)\n");
    let last = sandbox.events().pop().unwrap();
    assert_eq!(last["type"], "status_changed");
    assert_eq!(last["data"], json!({"from": "backlog", "to": "planned"}));
    let before = sandbox.tree();
    status(&sandbox, &["planned"]).ok().stdout("Already at status planned\n");
    status(&sandbox, &["planned", "--quiet"]).ok().stdout("ok\n");
    let message = status(&sandbox, &["planned", "--json"]).ok().data();
    assert_eq!(message, json!({"message": "Already at status planned"}));
    sandbox.assert_unchanged(&before);
    status(&sandbox, &["needs human", "--quiet"]).ok().stdout("ok\n");
    let data = status(&sandbox, &["planned", "--json", "--reason", "answered"]).ok().data();
    assert_eq!((&data["status"], &data["reopened_count"]), (&json!("planned"), &json!(1)));
    assert_eq!(sandbox.events().pop().unwrap()["provenance"], json!({"reason": "answered"}));
}

#[test]
fn what_the_workflow_does_not_have() {
    let sandbox = Sandbox::without_git();
    refuse(&sandbox, &["nonsense"], "VALIDATION_ERROR");
    refuse(&sandbox, &["done"], "INVALID_TRANSITION");
    let error = status(&sandbox, &["done", "--json"]).refused(1, "INVALID_TRANSITION");
    assert_eq!(error["current_status"], "backlog");
    assert_eq!(error["requested_status"], "done");
    let valid = json!(["in_planning", "planned", "cancelled", "needs_human"]);
    assert_eq!(error["valid_transitions"], valid);
    refuse(&sandbox, &["done", "--force"], "VALIDATION_ERROR");
    let data = status(&sandbox, &["done", "--force", "--reason", "by phone", "--json"]).ok().data();
    assert_eq!(data["done_at"], data["updated_at"]);
    let last = sandbox.events().pop().unwrap();
    let forced = json!({"force": true, "from": "backlog", "reason": "by phone", "to": "done"});
    assert_eq!(last["data"], forced);
    archive(&sandbox);
    refuse(&sandbox, &["cancelled"], "NOT_FOUND");
}

#[test]
fn display_names_are_names() {
    let sandbox = Sandbox::without_git();
    workflow(&sandbox, &json!({"display_names": {"planned": "Ready to go"}}));
    status(&sandbox, &["ready TO go"]).ok().stdout("Status: backlog -> planned (LAT-1)\n");
    let shown = sandbox.lattice(["show", "LAT-1"]).run().ok();
    assert!(shown.stdout.contains("\nStatus: Ready to go  Priority"), "{shown}");
}

#[test]
fn work_needs_a_plan_and_a_step_back_marks_it() {
    let sandbox = Sandbox::without_git();
    walk(&sandbox, &["planned"]);
    refuse(&sandbox, &["in_progress"], "PLAN_REQUIRED");
    fs::remove_file(plan_path(&sandbox)).unwrap();
    refuse(&sandbox, &["in_progress"], "PLAN_REQUIRED");
    refuse(&sandbox, &["in_progress", "--force"], "VALIDATION_ERROR");
    plan(&sandbox);
    walk(&sandbox, &["in_progress", "review", "in_planning"]);
    let last = sandbox.events().pop().unwrap();
    let date = last["ts"].as_str().unwrap().split('T').next().unwrap().to_owned();
    let text = fs::read_to_string(plan_path(&sandbox)).unwrap();
    let marked = format!("# LAT-1: First task\n\n- do it\n\n## Reset {date} by human:ana\n");
    assert_eq!(text, marked);
    let shown = sandbox.lattice(["show", "LAT-1"]).run().ok();
    let warning = format!("\nWarning: Previously completed, reset on {date} by human:ana\n");
    assert!(shown.stdout.contains(&warning), "{shown}");
    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(data["latest_reopen"]["from"], "review");
    assert_eq!(data["latest_reopen"]["to"], "in_planning");
}

#[test]
fn review_goes_round_only_so_often() {
    let sandbox = Sandbox::without_git();
    plan(&sandbox);
    workflow(&sandbox, &json!({"review_cycle_limit": 1}));
    walk(&sandbox, &["planned", "in_progress", "review", "in_progress", "review"]);
    refuse(&sandbox, &["in_progress"], "REVIEW_CYCLE_LIMIT");
    refuse(&sandbox, &["in_planning"], "REVIEW_CYCLE_LIMIT");
    walk(&sandbox, &["needs_human"]);
}

#[test]
fn done_asks_for_what_its_policy_says() {
    let sandbox = Sandbox::without_git();
    let policy = json!({"done": {"require_roles": ["qa"], "require_assigned": true}});
    workflow(&sandbox, &json!({"completion_policies": policy}));
    walk(&sandbox, &["planned", "review"]);
    refuse(&sandbox, &["done"], "COMPLETION_BLOCKED");
    let error = status(&sandbox, &["done", "--json"]).refused(1, "COMPLETION_BLOCKED");
    let message = error["message"].as_str().unwrap();
    assert_eq!(message, "LAT-1 cannot go to done: nothing has the role qa; nobody is assigned");
    refuse(&sandbox, &["done", "--force"], "VALIDATION_ERROR");
    sandbox.lattice(["comment", "LAT-1", "Tested", "--role", "qa", "--actor", ACTOR]).run().ok();
    refuse(&sandbox, &["done"], "COMPLETION_BLOCKED");
    sandbox.lattice(["assign", "LAT-1", "agent:bot", "--actor", ACTOR]).run().ok();
    walk(&sandbox, &["done"]);
}

/// The Python tool can write the snapshot that it had read before somebody else's event.
#[test]
fn an_old_snapshot_does_not_decide() {
    let sandbox = Sandbox::without_git();
    let path = sandbox.lattice_dir().join(format!("tasks/{}.json", sandbox.task));
    walk(&sandbox, &["planned"]);
    let old = fs::read(&path).unwrap();
    walk(&sandbox, &["review"]);
    fs::write(&path, old).unwrap();
    status(&sandbox, &["review"]).ok().stdout("Already at status review\n");
    status(&sandbox, &["done"]).ok().stdout("Status: review -> done (LAT-1)\n");
}

#[test]
fn hooks_are_told_where_a_task_came_from() {
    let sandbox = Sandbox::without_git();
    let told = sandbox.base.join("told").display().to_string();
    let say = |word: &str| {
        format!("echo {word} $LATTICE_FROM_STATUS-$LATTICE_TO_STATUS $LATTICE_EVENT_TYPE >> {told}")
    };
    let transitions = json!({"* -> review": say("any"), "planned -> review": [say("exact")]});
    let hooks = json!({"post_event": say("post"), "transitions": transitions});
    sandbox.configure("hooks", hooks);
    let complete =
        |task: &str| sandbox.lattice(["complete", task, "--review", "Good", "--actor", ACTOR]);
    walk(&sandbox, &["planned"]);
    complete("LAT-1").run().ok().silent();
    let lines = "post backlog-planned status_changed\n\
                 post - comment_added\n\
                 post planned-review status_changed\n\
                 exact planned-review status_changed\n\
                 any planned-review status_changed\n\
                 post - artifact_attached\n\
                 post review-done status_changed\n";
    assert_eq!(fs::read_to_string(&told).unwrap(), lines);
}

#[test]
fn complete_reviews_and_closes_at_one_time() {
    let sandbox = Sandbox::without_git();
    walk(&sandbox, &["planned"]);
    let review = "All of it read.\nNothing found.";
    let complete = sandbox.lattice(["complete", "LAT-1", "--review", review, "--actor", ACTOR]);
    let done = complete.arg("--model").arg("m").run().ok().silent();
    done.stdout("Completed LAT-1: 4 events (planned -> review -> done)\n");
    let events = sandbox.events().split_off(2);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = ["comment_added", "status_changed", "artifact_attached", "status_changed"];
    assert_eq!(kinds, expected);
    assert!(events.iter().all(|event| event["ts"] == events[0]["ts"]));
    assert!(events.iter().all(|event| event["agent_meta"]["model"] == "m"));
    let artifact = events[2]["data"]["artifact_id"].as_str().unwrap();
    let meta = sandbox.lattice_dir().join(format!("artifacts/meta/{artifact}.json"));
    let meta: Value = serde_json::from_slice(&fs::read(meta).unwrap()).unwrap();
    assert_eq!(meta["title"], "Review findings");
    assert_eq!(meta["created_at"], events[0]["ts"]);
    let payload = sandbox.lattice_dir().join(format!("artifacts/payload/{artifact}.md"));
    assert_eq!(fs::read_to_string(payload).unwrap(), review);
}

#[test]
fn complete_from_review_and_what_it_refuses() {
    let sandbox = Sandbox::without_git();
    let with = |task: &'static str, review: &'static str| {
        ["complete", task, "--review", review, "--actor", ACTOR]
    };
    refused(&sandbox, &with("LAT-1", "Good"), "INVALID_TRANSITION");
    walk(&sandbox, &["planned", "review"]);
    refused(&sandbox, &with("LAT-1", " \n"), "VALIDATION_ERROR");
    refused(&sandbox, &with("LAT-9", "Good"), "NOT_FOUND");
    workflow(&sandbox, &json!({"completion_policies": {"done": {"require_assigned": true}}}));
    refused(&sandbox, &with("LAT-1", "Good"), "COMPLETION_BLOCKED");
    workflow(&sandbox, &json!({"completion_policies": {"done": {"require_roles": ["review"]}}}));
    let data = sandbox.lattice(with("LAT-1", "Good")).arg("--json").run().ok().silent().data();
    assert_eq!(data["status"], "done");
    assert_eq!(data["evidence_refs"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.events().len(), 6);
    refused(&sandbox, &with("LAT-1", "Again"), "INVALID_TRANSITION");
    workflow(&sandbox, &json!({"roles": ["qa"]}));
    refused(&sandbox, &with("LAT-1", "Good"), "INVALID_TRANSITION");
}
