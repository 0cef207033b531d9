//! What each event does to a snapshot.

use std::slice;

use serde_json::{Value, json};

use super::*;
use crate::model::event::Event;
use crate::model::json::compact;

const RUN: &str = "ev_01KA00000000000000000000R1";

fn event(number: usize, kind: &str, data: &Value) -> Event {
    let fields = json!({
        "actor": "human:ana", "data": data, "id": format!("ev_{number}"), "schema_version": 1,
        "task_id": "task_01KA00000000000000000000T1", "ts": format!("T{number}"), "type": kind,
    });
    Event::from_value(fields).unwrap()
}

fn log(steps: &[(&str, Value)]) -> Vec<Event> {
    let created = json!({"title": "t", "status": "backlog", "type": "task", "priority": "medium"});
    let steps = [("task_created", created)].into_iter().chain(steps.iter().cloned());
    steps.enumerate().map(|(number, (kind, data))| event(number, kind, &data)).collect()
}

/// Only the named fields are compared.
#[track_caller]
fn check(steps: &[(&str, Value)], expected: &Value) {
    let snapshot = replay(&log(steps)).unwrap();
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(snapshot.get(key), Some(value), "{key}");
    }
}

#[test]
fn a_new_task_has_every_field() {
    let expected = concat!(
        r#"{"assigned_to":null,"branch_links":[],"comment_count":0,"complexity":null,"created_at":"T0","#,
        r#""created_by":"human:ana","custom_fields":{},"description":null,"done_at":null,"evidence_refs":[],"#,
        r#""id":"task_01KA00000000000000000000T1","last_event_id":"ev_0","last_status_changed_at":"T0","#,
        r#""priority":"medium","relationships_out":[],"reopened_count":0,"schema_version":1,"status":"backlog","#,
        r#""tags":null,"title":"t","type":"task","updated_at":"T0","urgency":null}"#,
    );
    assert_eq!(compact(&Value::Object(replay(&log(&[])).unwrap().0)), expected);
}

#[test]
fn creation_takes_what_is_given() {
    let data = json!({"title": "u", "status": "done", "tags": ["a"], "short_id": "QX-1", "custom_fields": {"k": 1}});
    check(
        &[("task_created", data)],
        &json!({
            "title": "u", "done_at": "T1", "tags": ["a"], "short_id": "QX-1", "custom_fields": {"k": 1}, "type": null,
        }),
    );
}

#[test]
fn nothing_before_creation_counts() {
    assert_eq!(replay::<Event>(&[]), None);
    assert_eq!(replay(&[event(0, "comment_added", &json!({}))]), None);
    let late = [event(0, "comment_added", &json!({})), event(1, "task_created", &json!({}))];
    assert_eq!(replay(&late).unwrap().get("comment_count"), Some(&json!(0)));
}

#[test]
fn status_and_reopening() {
    let moved = |from: &str, to: &str| ("status_changed", json!({"from": from, "to": to}));
    check(
        &[moved("backlog", "done")],
        &json!({
            "status": "done", "done_at": "T1", "last_status_changed_at": "T1", "reopened_count": 0,
        }),
    );
    check(
        &[moved("backlog", "done"), moved("done", "review")],
        &json!({"done_at": null, "reopened_count": 1}),
    );
    check(
        &[moved("blocked", "in_progress"), moved("x", "backlog"), moved("done", "y")],
        &json!({"reopened_count": 1}),
    );
    check(
        &[("status_changed", json!({"from": "backlog"}))],
        &json!({"status": "backlog", "last_event_id": "ev_1"}),
    );
}

#[test]
fn fields_and_their_guards() {
    let set =
        |field: &str, to: Value| ("field_updated", json!({"field": field, "from": null, "to": to}));
    check(
        &[
            set("title", json!("new")),
            set("extra", json!([1])),
            set("custom_fields.a.b", json!("c")),
        ],
        &json!({
            "title": "new", "extra": [1], "custom_fields": {"a.b": "c"},
        }),
    );
    check(
        &[
            set("status", json!("done")),
            set("custom_fields", json!(1)),
            set("active_processes", json!([1])),
        ],
        &json!({
            "status": "backlog", "custom_fields": {},
        }),
    );
    let snapshot = replay(&log(&[set("active_processes", json!([1]))])).unwrap();
    assert_eq!(snapshot.get("active_processes"), None);
    check(
        &[("assignment_changed", json!({"from": null, "to": {"name": "Ana-1"}}))],
        &json!({"assigned_to": {"name": "Ana-1"}}),
    );
    check(&[("task_short_id_assigned", json!({"short_id": "QX-9"}))], &json!({"short_id": "QX-9"}));
}

#[test]
fn comments_and_evidence() {
    let evidence = |id: &str, role: Value, source: &str| json!({"id": id, "role": role, "source_type": source});
    let added = ("comment_added", json!({"body": "b", "role": "review"}));
    check(
        slice::from_ref(&added),
        &json!({"comment_count": 1, "evidence_refs": [evidence("ev_1", json!("review"), "comment")]}),
    );
    let edited =
        |role: Value| ("comment_edited", json!({"comment_id": "ev_1", "body": "c", "role": role}));
    check(
        &[added.clone(), edited(json!("audit"))],
        &json!({"evidence_refs": [evidence("ev_1", json!("audit"), "comment")]}),
    );
    check(&[added.clone(), edited(json!(null))], &json!({"evidence_refs": [], "comment_count": 1}));
    let body_only = ("comment_edited", json!({"comment_id": "ev_1", "body": "c"}));
    check(
        &[added.clone(), body_only],
        &json!({"evidence_refs": [evidence("ev_1", json!("review"), "comment")]}),
    );
    let deleted = ("comment_deleted", json!({"comment_id": "ev_1"}));
    check(&[added, deleted.clone(), deleted], &json!({"evidence_refs": [], "comment_count": 0}));
    let attached = ("artifact_attached", json!({"artifact_id": "art_1"}));
    check(
        &[attached.clone(), attached],
        &json!({"evidence_refs": [evidence("art_1", json!(null), "artifact")]}),
    );
}

#[test]
fn links() {
    let link = |kind: &str| json!({"type": kind, "target_task_id": "task_2"});
    let entry = json!({"created_at": "T1", "created_by": "human:ana", "note": null, "target_task_id": "task_2", "type": "blocks"});
    let both = [("relationship_added", link("blocks")), ("relationship_added", link("related_to"))];
    check(
        &[both[0].clone(), both[1].clone(), ("relationship_removed", link("related_to"))],
        &json!({"relationships_out": [entry]}),
    );
    let branch = |repo: Value| json!({"branch": "b", "repo": repo});
    let linked = json!({"branch": "b", "linked_at": "T2", "linked_by": "human:ana", "repo": "r"});
    check(
        &[
            ("branch_linked", json!({"branch": "b"})),
            ("branch_linked", branch(json!("r"))),
            ("branch_unlinked", branch(json!(null))),
        ],
        &json!({"branch_links": [linked]}),
    );
}

#[test]
fn no_event_can_break_a_replay() {
    let kinds = [
        "task_created",
        "task_archived",
        "task_short_id_assigned",
        "status_changed",
        "assignment_changed",
        "field_updated",
        "comment_added",
        "comment_edited",
        "comment_deleted",
        "reaction_added",
        "relationship_added",
        "relationship_removed",
        "artifact_attached",
        "branch_linked",
        "branch_unlinked",
        "process_started",
        "process_completed",
        "process_failed",
        "x_a",
        "from_the_future",
        "",
    ];
    let odd = [
        json!({}),
        json!([]),
        json!(null),
        json!({"to": [], "field": 1, "comment_id": {}, "role": 2, "custom_fields": []}),
    ];
    for kind in kinds {
        for data in &odd {
            let mut events = log(&[(kind, data.clone())]);
            events.push(Event::from_value(json!({"type": kind, "data": data})).unwrap());
            assert!(replay(&events).is_some_and(|snapshot| snapshot.0.len() >= 23), "{kind}");
        }
    }
}

fn run(kind: &str, data: &Value) -> Event {
    event(7, kind, data).with_id(RUN)
}

fn end(kind: &str, number: usize) -> Event {
    event(number, kind, &json!({"process_type": "Lint", "started_event_id": RUN}))
}

fn open(events: &[Event]) -> usize {
    let mut all = log(&[]);
    all.extend(events.iter().cloned());
    let in_snapshot = replay(&all)
        .unwrap()
        .get("active_processes")
        .map_or(0, |list| list.as_array().unwrap().len());
    assert_eq!(open_runs(&all).len(), in_snapshot);
    in_snapshot
}

#[test]
fn open_runs_are_starts_without_an_end() {
    let start = run(
        "process_started",
        &json!({"process_type": "Lint", "commit_sha": "c", "timeout_minutes": 5, "host": "h"}),
    );
    assert_eq!(open(&[]), 0);
    assert_eq!(open(slice::from_ref(&start)), 1);
    assert_eq!(open(&[start.clone(), start.clone()]), 1);
    assert_eq!(open(&[start.clone(), end("process_failed", 8)]), 0);
    assert_eq!(open(&[end("process_completed", 8), start.clone()]), 0, "a merge put the end first");
    assert_eq!(open(&[start.clone(), end("process_failed", 8), end("process_completed", 9)]), 0);

    let mut events = log(&[]);
    events.push(start.clone());
    let found = open_runs(&events).remove(0);
    assert_eq!(
        (found.process_type.as_str(), found.commit_sha.as_str(), found.timeout_minutes),
        ("Lint", "c", Some(5.0))
    );
    assert_eq!(found.event, start);
    let entry = concat!(
        r#"[{"actor":"human:ana","commit_sha":"c","process_type":"Lint","started_at":"T7","#,
        r#""started_event_id":"ev_01KA00000000000000000000R1","timeout_minutes":5}]"#,
    );
    assert_eq!(compact(replay(&events).unwrap().get("active_processes").unwrap()), entry);
}

#[test]
fn the_first_end_counts() {
    let events = [end("process_failed", 8), end("process_completed", 9)];
    let run = crate::model::ids::RunId::parse(RUN).unwrap();
    assert_eq!(terminal_of(&events, &run), Some(&events[0]));
    assert_eq!(terminal_of(&[], &run), None);
}
