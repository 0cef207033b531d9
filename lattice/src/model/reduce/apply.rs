//! The effect of each type of event on a task's state. Missing keys have no effect, unknown types only advance
//! `last_event_id` and `updated_at`.

use serde_json::{Map, Value, json};

use super::open_runs::open_starts;
use super::snapshot::Snapshot;
use crate::model::event::{
    ARTIFACT_ATTACHED, ASSIGNMENT_CHANGED, BRANCH_LINKED, BRANCH_UNLINKED, COMMENT_ADDED,
    COMMENT_DELETED, COMMENT_EDITED, Event, FIELD_UPDATED, RELATIONSHIP_ADDED,
    RELATIONSHIP_REMOVED, STATUS_CHANGED, TASK_CREATED, TASK_SHORT_ID_ASSIGNED,
};
use crate::model::line::Told;

type Fields = Map<String, Value>;

/// What `field_updated` may not touch: other events own these.
const PROTECTED: [&str; 18] = [
    "schema_version",
    "id",
    "short_id",
    "created_at",
    "created_by",
    "updated_at",
    "done_at",
    "last_event_id",
    "last_status_changed_at",
    "status",
    "assigned_to",
    "relationships_out",
    "evidence_refs",
    "branch_links",
    "comment_count",
    "reopened_count",
    "custom_fields",
    "active_processes",
];

/// The order by which a change of status counts as a reopening, whatever the project's own workflow says.
const STATUS_ORDER: [&str; 9] = [
    "backlog",
    "in_planning",
    "planned",
    "in_progress",
    "review",
    "done",
    "blocked",
    "needs_human",
    "cancelled",
];

/// Replays a log in file order; `None` if there is no `task_created`.
///
/// The result is what the Python tool's `rebuild` computes, plus `active_processes` while a run is open.
pub fn replay<'a, T: Told + 'a>(events: impl IntoIterator<Item = &'a T>) -> Option<Snapshot> {
    let events: Vec<&T> = events.into_iter().collect();
    // What stands above it says nothing of the task.
    let created_at = events.iter().rposition(|event| event.kind() == TASK_CREATED)?;
    let mut fields = created(&events[created_at].whole());
    events[created_at..].iter().for_each(|event| apply(&mut fields, *event));
    // What every event changes is written once, by the last of them: nothing above reads it.
    for (key, mark) in [("last_event_id", "id"), ("updated_at", "ts")] {
        let last = events[created_at..].iter().rev().find_map(|event| event.mark(mark));
        copy(&mut fields, key, last.as_ref());
    }
    let starts = open_starts(&events).into_iter();
    let active: Vec<Value> = starts.map(|start| active_process(&start.whole())).collect();
    if !active.is_empty() {
        fields.insert("active_processes".to_owned(), active.into());
    }
    Some(Snapshot(fields))
}

fn created(event: &Event) -> Fields {
    let (data, ts, null) = (event.data(), event.get("ts"), Value::Null);
    let given = |key| data.get(key).unwrap_or(&null);
    let custom_fields = given("custom_fields").as_object().cloned().unwrap_or_default();
    let mut fields = Fields::new();
    for key in [
        "title",
        "status",
        "priority",
        "urgency",
        "complexity",
        "type",
        "description",
        "tags",
        "assigned_to",
    ] {
        fields.insert(key.to_owned(), given(key).clone());
    }
    let others = [
        ("schema_version", json!(1)),
        ("id", event.get("task_id").clone()),
        ("created_by", event.actor().clone()),
        ("created_at", ts.clone()),
        ("updated_at", ts.clone()),
        ("last_status_changed_at", ts.clone()),
        ("done_at", if given("status") == "done" { ts.clone() } else { null.clone() }),
        ("relationships_out", json!([])),
        ("evidence_refs", json!([])),
        ("branch_links", json!([])),
        ("comment_count", json!(0)),
        ("reopened_count", json!(0)),
        ("custom_fields", custom_fields.into()),
        ("last_event_id", event.get("id").clone()),
    ];
    fields.extend(others.map(|(key, value)| (key.to_owned(), value)));
    if !given("short_id").is_null() {
        fields.insert("short_id".to_owned(), given("short_id").clone());
    }
    fields
}

fn apply(fields: &mut Fields, told: &impl Told) {
    let event = || told.whole();
    match told.kind() {
        STATUS_CHANGED => status_changed(fields, &event()),
        ASSIGNMENT_CHANGED => copy(fields, "assigned_to", event().data().get("to")),
        TASK_SHORT_ID_ASSIGNED => copy(fields, "short_id", event().data().get("short_id")),
        FIELD_UPDATED => field_updated(fields, event().data()),
        COMMENT_ADDED => comment_added(fields, told),
        COMMENT_EDITED => comment_edited(fields, event().data()),
        COMMENT_DELETED => comment_deleted(fields, event().data()),
        RELATIONSHIP_ADDED => relationship_added(fields, &event()),
        RELATIONSHIP_REMOVED => {
            let keys = ["type", "target_task_id"];
            remove_matching(fields, "relationships_out", event().data(), &keys);
        }
        ARTIFACT_ATTACHED => artifact_attached(fields, event().data()),
        BRANCH_LINKED => branch_linked(fields, &event()),
        BRANCH_UNLINKED => {
            remove_matching(fields, "branch_links", event().data(), &["branch", "repo"]);
        }
        _ => {}
    }
}

fn status_changed(fields: &mut Fields, event: &Event) {
    let data = event.data();
    let Some(to) = data.get("to") else { return };
    let rank = |status: Option<&Value>| {
        STATUS_ORDER.iter().position(|known| status.is_some_and(|s| s == known))
    };
    if let (Some(old), Some(new)) = (rank(data.get("from")), rank(Some(to)))
        && new < old
    {
        count(fields, "reopened_count", 1);
    }
    let done_at = if to == "done" { event.get("ts").clone() } else { Value::Null };
    fields.insert("status".to_owned(), to.clone());
    fields.insert("done_at".to_owned(), done_at);
    copy(fields, "last_status_changed_at", event.as_map().get("ts"));
}

fn field_updated(fields: &mut Fields, data: &Fields) {
    let (Some(field), Some(to)) = (data.get("field").and_then(Value::as_str), data.get("to"))
    else {
        return;
    };
    if let Some(key) = field.strip_prefix("custom_fields.") {
        if let Some(Value::Object(custom)) = fields.get_mut("custom_fields") {
            custom.insert(key.to_owned(), to.clone());
        }
    } else if !PROTECTED.contains(&field) {
        fields.insert(field.to_owned(), to.clone());
    }
}

fn comment_added(fields: &mut Fields, told: &impl Told) {
    count(fields, "comment_count", 1);
    // Most have no role, and nobody needs to read them.
    if told.has_role() {
        let event = told.whole();
        add_comment_evidence(fields, event.get("id"), &event.data()["role"]);
    }
}

fn comment_edited(fields: &mut Fields, data: &Fields) {
    let (Some(role), Some(id)) = (data.get("role"), data.get("comment_id")) else { return };
    remove_comment_evidence(fields, id);
    add_comment_evidence(fields, id, role);
}

fn comment_deleted(fields: &mut Fields, data: &Fields) {
    count(fields, "comment_count", -1);
    if let Some(id) = data.get("comment_id") {
        remove_comment_evidence(fields, id);
    }
}

/// An artifact is evidence with or without a role.
fn artifact_attached(fields: &mut Fields, data: &Fields) {
    let Some(id) = data.get("artifact_id") else { return };
    let refs = list(fields, "evidence_refs");
    if !refs.iter().any(|known| known["source_type"] == "artifact" && known["id"] == *id) {
        refs.push(json!({"id": id, "role": data.get("role"), "source_type": "artifact"}));
    }
}

fn relationship_added(fields: &mut Fields, event: &Event) {
    let data = event.data();
    let (Some(kind), Some(target)) = (data.get("type"), data.get("target_task_id")) else { return };
    list(fields, "relationships_out").push(json!({
        "created_at": event.get("ts"),
        "created_by": event.actor(),
        "note": data.get("note"),
        "target_task_id": target,
        "type": kind,
    }));
}

fn branch_linked(fields: &mut Fields, event: &Event) {
    let Some(branch) = event.data().get("branch") else { return };
    list(fields, "branch_links").push(json!({
        "branch": branch,
        "linked_at": event.get("ts"),
        "linked_by": event.actor(),
        "repo": event.data().get("repo"),
    }));
}

/// A comment without a role is no evidence.
fn add_comment_evidence(fields: &mut Fields, id: &Value, role: &Value) {
    if !role.is_null() {
        list(fields, "evidence_refs")
            .push(json!({"id": id, "role": role, "source_type": "comment"}));
    }
}

fn remove_comment_evidence(fields: &mut Fields, id: &Value) {
    list(fields, "evidence_refs")
        .retain(|known| known["source_type"] != "comment" || known["id"] != *id);
}

/// Removes the entries that agree with `data` in all of these keys; a missing key is as good as null.
fn remove_matching(fields: &mut Fields, name: &str, data: &Fields, keys: &[&str]) {
    let wanted = |key: &&str| data.get(*key).unwrap_or(&Value::Null);
    list(fields, name).retain(|entry| !keys.iter().all(|key| entry[*key] == *wanted(key)));
}

/// The form that the Python tool's worker commands wrote.
fn active_process(start: &Event) -> Value {
    let data = start.data();
    json!({
        "actor": start.actor(),
        "commit_sha": data.get("commit_sha"),
        "process_type": data.get("process_type"),
        "started_at": start.get("ts"),
        "started_event_id": start.get("id"),
        "timeout_minutes": data.get("timeout_minutes"),
    })
}

fn copy(fields: &mut Fields, key: &str, value: Option<&Value>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value.clone());
    }
}

/// Counts never go below zero.
fn count(fields: &mut Fields, key: &str, step: i64) {
    let count = fields.get(key).and_then(Value::as_i64).unwrap_or(0);
    let count = Value::from(count.saturating_add(step).max(0));
    match fields.get_mut(key) {
        Some(value) => *value = count,
        None => drop(fields.insert(key.to_owned(), count)),
    }
}

/// The list under a key that only this module writes.
fn list<'a>(fields: &'a mut Fields, key: &str) -> &'a mut Vec<Value> {
    let value = fields.entry(key).or_insert(Value::Null);
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made an array just now")
}
