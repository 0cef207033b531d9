//! `assign`, `update`, `event`, comments and reactions: output in the three forms, events, refusals, doing it again.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::tracker_refusals::refused;

#[track_caller]
fn call(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    sandbox.lattice(arguments).arg("--actor").arg(ACTOR).run().silent()
}

fn refuse(sandbox: &Sandbox, arguments: &[&str], code: &str) {
    refused(sandbox, &[arguments, &["--actor", ACTOR]].concat(), code);
}

/// All three forms say the same, and nothing is written.
#[track_caller]
fn unchanged(sandbox: &Sandbox, arguments: &[&str], message: &str) {
    let before = sandbox.tree();
    let with = |form| [arguments, &[form]].concat();
    call(sandbox, arguments).ok().stdout(&format!("{message}\n"));
    call(sandbox, &with("--quiet")).ok().stdout("ok\n");
    assert_eq!(call(sandbox, &with("--json")).ok().data(), json!({"message": message}));
    sandbox.assert_unchanged(&before);
}

fn last(sandbox: &Sandbox) -> Value {
    sandbox.events().pop().unwrap()
}

#[test]
fn assigning() {
    let sandbox = Sandbox::without_git();
    unchanged(&sandbox, &["assign", "LAT-1", "none"], "Already unassigned");
    let assign = |who: &str, form: &str| call(&sandbox, &["assign", "LAT-1", who, form]).ok();
    call(&sandbox, &["assign", "LAT-1", "agent:bot"])
        .ok()
        .stdout("Assigned: unassigned -> agent:bot\n");
    assert_eq!(last(&sandbox)["data"], json!({"from": null, "to": "agent:bot"}));
    unchanged(&sandbox, &["assign", "lat-1", "agent:bot"], "Already assigned to agent:bot");
    assign("human:bob", "--quiet").stdout("ok\n");
    assert_eq!(assign("-", "--json").data()["assigned_to"], Value::Null);
    assert_eq!(last(&sandbox)["data"], json!({"from": "human:bob", "to": null}));
    refuse(&sandbox, &["assign", "LAT-1", "bob"], "INVALID_ACTOR");
    refuse(&sandbox, &["assign", "LAT-7", "human:bob"], "NOT_FOUND");
}

/// Sessions of the Python tool are actors with a structure.
#[test]
fn a_structured_assignee_is_shown_by_its_name() {
    let sandbox = Sandbox::without_git();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let who = r#"{"base_name":"Ana","model":"m","name":"Ana-1","serial":1,"session":"sess_x"}"#;
    let line = format!(
        "{{\"actor\":{who},\"data\":{{\"from\":null,\"to\":{who}}},\"id\":\"ev_01JABCDEFGHJKMNPQRSTVWXYZ1\",\
         \"schema_version\":1,\"task_id\":\"{}\",\"ts\":\"2026-03-01T10:00:00Z\",\"type\":\"assignment_changed\"}}\n",
        sandbox.task
    );
    let text = fs::read_to_string(&log).unwrap() + &line;
    fs::write(&log, text).unwrap();
    call(&sandbox, &["assign", "LAT-1", "agent:bot"]).ok().stdout("Assigned: Ana-1 -> agent:bot\n");
    assert_eq!(last(&sandbox)["data"]["from"]["serial"], 1);
}

#[test]
fn updating_some_fields_at_one_time() {
    let sandbox = Sandbox::without_git();
    unchanged(&sandbox, &["update", "LAT-1", "priority=medium", "tags="], "No changes");
    let fields =
        ["update", "LAT-1", "title=A = b", "priority=medium", "tags= x,,y ", "custom_fields.a.b=1"];
    call(&sandbox, &fields).ok().stdout("Updated task <task1>: title, tags, custom_fields.a.b\n");
    let events = sandbox.events().split_off(1);
    let data: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
    let expected = [
        json!({"field": "title", "from": "First task", "to": "A = b"}),
        json!({"field": "tags", "from": [], "to": ["x", "y"]}),
        json!({"field": "custom_fields.a.b", "from": null, "to": "1"}),
    ];
    assert_eq!(data, expected);
    assert!(events.iter().all(|event| event["ts"] == events[0]["ts"]));
    let snapshot = call(&sandbox, &["update", "LAT-1", "description=", "--json"]).ok().data();
    assert_eq!(snapshot["custom_fields"], json!({"a.b": "1"}));
    assert_eq!(snapshot["description"], "");
    call(&sandbox, &["update", "LAT-1", "urgency=low", "--quiet"]).ok().stdout("ok\n");
}

#[test]
fn updates_that_are_refused_change_nothing() {
    let sandbox = Sandbox::without_git();
    for pairs in [
        &[][..],
        &["title"],
        &["nonsense=1"],
        &["status=done"],
        &["assigned_to=human:bob"],
        &["custom_fields.=1"],
        &["priority=urgent"],
        &["urgency=critical"],
        &["complexity=huge"],
        &["type=nonsense"],
        &["title=New", "comment_count=7"],
        &["title=New", "title=Newer"],
    ] {
        refuse(&sandbox, &[&["update", "LAT-1"], pairs].concat(), "VALIDATION_ERROR");
    }
}

#[test]
fn events_of_ones_own() {
    let sandbox = Sandbox::without_git();
    call(&sandbox, &["event", "LAT-1", "x_built"]).ok().stdout("Recorded x_built on <task1>\n");
    let data = r#"{"b":1.50,"a":[1e5,"é"],"n":123456789012345678901234567890}"#;
    let event = call(&sandbox, &["event", "LAT-1", "x_a", "--data", data, "--json"]).ok().data();
    assert_eq!(event["type"], "x_a");
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let line = r#""data":{"a":[100000.0,"\u00e9"],"b":1.5,"n":123456789012345678901234567890}"#;
    assert!(fs::read_to_string(&log).unwrap().contains(line));
    for kind in ["built", "status_changed", "process_started", ""] {
        refuse(&sandbox, &["event", "LAT-1", kind], "VALIDATION_ERROR");
    }
    for data in ["", "[]", "{", "7", r#"{"v":NaN}"#] {
        refuse(&sandbox, &["event", "LAT-1", "x_a", "--data", data], "VALIDATION_ERROR");
    }
    refuse(&sandbox, &["event", "LAT-1", "x_a", "--id", "ev_1"], "INVALID_ID");
}

#[test]
fn the_same_event_again_changes_nothing() {
    let sandbox = Sandbox::without_git();
    let id = "ev_01JABCDEFGHJKMNPQRSTVWXYZ0";
    let event = |kind, data| ["event", "LAT-1", kind, "--data", data, "--id", id];
    call(&sandbox, &event("x_a", r#"{"v":1e2}"#)).ok().stdout("Recorded x_a on <task1>\n");
    let before = sandbox.tree();
    let again = event("x_a", r#"{"v":100.0}"#);
    call(&sandbox, &again).ok().stdout("Event <ev1> already exists (idempotent).\n");
    let quiet = [&again[..], &["--quiet"]].concat();
    call(&sandbox, &quiet).ok().stdout("<ev1>\n");
    sandbox.assert_unchanged(&before);
    refuse(&sandbox, &event("x_a", r#"{"v":1}"#), "CONFLICT");
    refuse(&sandbox, &event("x_b", r#"{"v":1e2}"#), "CONFLICT");
}

/// The ID of a new comment.
fn comment(sandbox: &Sandbox, arguments: &[&str]) -> String {
    call(sandbox, &[&["comment", "LAT-1"], arguments].concat()).ok();
    last(sandbox)["id"].as_str().unwrap().to_owned()
}

#[test]
fn comments_are_edited_deleted_and_reacted_to() {
    let sandbox = Sandbox::without_git();
    sandbox
        .lattice(["comments", "LAT-1"])
        .run()
        .ok()
        .stdout("LAT-1 \"First task\" (backlog)\n---\nNo comments.\n");
    let first = comment(&sandbox, &["One\ntwo"]);
    let reply = comment(&sandbox, &["Three", "--reply-to", &first]);
    let second = comment(&sandbox, &["Four", "--role", "review"]);
    let edit = ["comment-edit", "LAT-1", &first, " One "];
    call(&sandbox, &edit).ok().stdout("Comment <ev1> edited on <task1>\n");
    let data = json!({"body": "One", "comment_id": first, "previous_body": "One\ntwo"});
    assert_eq!(last(&sandbox)["data"], data);
    call(&sandbox, &[&edit[..], &["--role", "review"]].concat()).ok();
    assert_eq!(last(&sandbox)["data"]["previous_role"], Value::Null);
    assert_eq!(last(&sandbox)["data"]["role"], "review");
    let delete = ["comment-delete", "LAT-1", &second];
    call(&sandbox, &delete).ok().stdout("Comment <ev2> deleted from <task1>\n");
    refuse(&sandbox, &delete, "VALIDATION_ERROR");
    let react = ["react", "LAT-1", &reply, "thumbs_up"];
    call(&sandbox, &react).ok().stdout("Reaction :thumbs_up: added to <ev3>\n");
    let before = sandbox.tree();
    call(&sandbox, &react)
        .ok()
        .stdout("Reaction :thumbs_up: already exists on <ev3> (idempotent).\n");
    sandbox.assert_unchanged(&before);

    let shown = sandbox.lattice(["comments", "LAT-1"]).run().ok().silent();
    shown.stdout(
        "LAT-1 \"First task\" (backlog)\n---\n[<ev1>] human:ana (<time>) [edited]\n  One\n\n  \
         [<ev3>] human:ana (<time>)\n    Three\n    :thumbs_up: human:ana\n\n\
         [<ev2>] human:ana (<time>) [deleted]\n",
    );
    let quiet = sandbox.lattice(["comments", "LAT-1", "--quiet"]).run().ok();
    quiet.stdout("<ev1>\n<ev2>\n");
    let json = sandbox.lattice(["comments", "LAT-1", "--json"]).run().ok().json();
    assert_eq!(
        json["task_context"],
        json!({"id": "LAT-1", "status": "backlog", "title": "First task"})
    );
    let thread = &json["data"][0];
    assert_eq!(thread["replies"][0]["reactions"], json!({"thumbs_up": ["human:ana"]}));
    assert_eq!(thread["edit_history"].as_array().unwrap().len(), 2);
    assert_eq!(json["data"][1]["deleted_by"], "human:ana");
    let unreact = ["unreact", "LAT-1", &reply, "thumbs_up"];
    call(&sandbox, &unreact).ok().stdout("Reaction :thumbs_up: removed from <ev3>\n");
    refuse(&sandbox, &unreact, "NOT_FOUND");
}

#[test]
fn comments_that_cannot_be_touched() {
    let sandbox = Sandbox::without_git();
    let first = comment(&sandbox, &["One"]);
    let reply = comment(&sandbox, &["Two", "--reply-to", &first]);
    let other = "ev_01JABCDEFGHJKMNPQRSTVWXYZ0";
    refuse(&sandbox, &["comment", "LAT-1", "x", "--reply-to", &reply], "VALIDATION_ERROR");
    refuse(&sandbox, &["comment-edit", "LAT-1", &first, "  "], "VALIDATION_ERROR");
    refuse(&sandbox, &["comment-edit", "LAT-1", &first, "x", "--role", "no"], "INVALID_ROLE");
    refuse(&sandbox, &["react", "LAT-1", &first, "a b"], "VALIDATION_ERROR");
    refuse(&sandbox, &["react", "LAT-1", &first, ""], "VALIDATION_ERROR");
    call(&sandbox, &["comment-delete", "LAT-1", &first]).ok();
    for id in [other, &first] {
        refuse(&sandbox, &["comment-edit", "LAT-1", id, "x"], "VALIDATION_ERROR");
        refuse(&sandbox, &["comment-delete", "LAT-1", id], "VALIDATION_ERROR");
        refuse(&sandbox, &["react", "LAT-1", id, "ok"], "VALIDATION_ERROR");
        refuse(&sandbox, &["comment", "LAT-1", "x", "--reply-to", id], "VALIDATION_ERROR");
    }
}
