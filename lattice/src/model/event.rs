//! Events: one JSON object per line of a task's log. Reading accepts any object; writing makes whole ones.

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::ids::{EventId, RunId, TaskId};
use super::json;

pub const TASK_CREATED: &str = "task_created";
pub const TASK_ARCHIVED: &str = "task_archived";
pub const TASK_UNARCHIVED: &str = "task_unarchived";
pub const TASK_SHORT_ID_ASSIGNED: &str = "task_short_id_assigned";
pub const STATUS_CHANGED: &str = "status_changed";
pub const ASSIGNMENT_CHANGED: &str = "assignment_changed";
pub const FIELD_UPDATED: &str = "field_updated";
pub const COMMENT_ADDED: &str = "comment_added";
pub const COMMENT_EDITED: &str = "comment_edited";
pub const COMMENT_DELETED: &str = "comment_deleted";
pub const REACTION_ADDED: &str = "reaction_added";
pub const REACTION_REMOVED: &str = "reaction_removed";
pub const RELATIONSHIP_ADDED: &str = "relationship_added";
pub const RELATIONSHIP_REMOVED: &str = "relationship_removed";
pub const ARTIFACT_ATTACHED: &str = "artifact_attached";
pub const BRANCH_LINKED: &str = "branch_linked";
pub const BRANCH_UNLINKED: &str = "branch_unlinked";
pub const PROCESS_STARTED: &str = "process_started";
pub const PROCESS_COMPLETED: &str = "process_completed";
pub const PROCESS_FAILED: &str = "process_failed";

/// Who triggered a write and why, as far as the caller said so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    pub triggered_by: Option<String>,
    pub on_behalf_of: Option<String>,
    pub reason: Option<String>,
}

/// Everything in an event's envelope that speaks of its author.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    pub actor: String,
    pub model: Option<String>,
    pub session: Option<String>,
    pub provenance: Provenance,
}

impl Author {
    pub fn new(actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), ..Self::default() }
    }

    /// An event by this author.
    pub fn event(&self, kind: &str, task: &TaskId, ts: String, data: Value) -> Event {
        Event::new(kind, task, &self.actor, ts, data)
            .with_agent_meta(self.model.as_deref(), self.session.as_deref())
            .with_provenance(&self.provenance)
    }
}

/// An event as it was read or made, with whatever further keys it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Map<String, Value>);

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
static NULL: Value = Value::Null;

impl Event {
    /// An event with a new ID. `data` is an object; anything else is stored as an empty one.
    pub fn new(kind: &str, task: &TaskId, actor: &str, ts: String, data: Value) -> Self {
        let mut map = Map::new();
        map.insert("schema_version".to_owned(), Value::from(1));
        map.insert("id".to_owned(), EventId::generate().to_string().into());
        map.insert("ts".to_owned(), ts.into());
        map.insert("type".to_owned(), kind.into());
        map.insert("actor".to_owned(), actor.into());
        map.insert("task_id".to_owned(), task.as_str().into());
        map.insert("data".to_owned(), if data.is_object() { data } else { json!({}) });
        Self(map)
    }

    /// Any object is taken for an event: a reader that refused one odd line would lose the task.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// One line of a log, with or without its line end.
    pub fn parse(line: &[u8]) -> Option<Self> {
        Self::from_value(json::parse_line(line)?)
    }

    /// Gives the event an ID that was chosen before, such as that of a run.
    #[must_use]
    pub fn with_id(mut self, id: impl fmt::Display) -> Self {
        self.0.insert("id".to_owned(), id.to_string().into());
        self
    }

    /// Replaces the actor, for instance by the structured one of an earlier event.
    #[must_use]
    pub fn with_actor(mut self, actor: Value) -> Self {
        self.0.insert("actor".to_owned(), actor);
        self
    }

    /// Both keys are written if one is given, none otherwise.
    #[must_use]
    pub fn with_agent_meta(mut self, model: Option<&str>, session: Option<&str>) -> Self {
        if model.is_some() || session.is_some() {
            self.0.insert("agent_meta".to_owned(), json!({"model": model, "session": session}));
        }
        self
    }

    /// Only the keys that are given are written.
    #[must_use]
    pub fn with_provenance(mut self, provenance: &Provenance) -> Self {
        let given = [
            ("triggered_by", &provenance.triggered_by),
            ("on_behalf_of", &provenance.on_behalf_of),
            ("reason", &provenance.reason),
        ];
        let map: Map<String, Value> = given
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.as_deref()?.into())))
            .collect();
        if !map.is_empty() {
            self.0.insert("provenance".to_owned(), map.into());
        }
        self
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// The `type`.
    pub fn kind(&self) -> &str {
        self.text("type")
    }

    pub fn ts(&self) -> &str {
        self.text("ts")
    }

    /// A string, or the object of a named session.
    pub fn actor(&self) -> &Value {
        self.get("actor")
    }

    pub fn data(&self) -> &Map<String, Value> {
        self.get("data").as_object().unwrap_or(&NOTHING)
    }

    pub fn task_id(&self) -> Option<TaskId> {
        TaskId::parse(self.text("task_id"))
    }

    /// The run that this event starts, if it is a `process_started` with a usable ID.
    pub fn run(&self) -> Option<RunId> {
        (self.kind() == PROCESS_STARTED).then(|| RunId::parse(self.id()))?
    }

    /// The run that this event ends: `started_event_id` of a terminal event.
    pub fn ended_run(&self) -> Option<&str> {
        self.is_terminal().then(|| self.data().get("started_event_id")?.as_str())?
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.kind(), PROCESS_COMPLETED | PROCESS_FAILED)
    }

    /// Whether a copy of the line belongs into the log of all tasks' life cycles.
    pub fn is_lifecycle(&self) -> bool {
        matches!(self.kind(), TASK_CREATED | TASK_ARCHIVED | TASK_UNARCHIVED)
    }

    /// `agent_meta.session`: inside a worker, the run.
    pub fn session(&self) -> Option<&str> {
        self.get("agent_meta").get("session")?.as_str()
    }

    /// Any key of the envelope; null if it is not there.
    pub fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&NULL)
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The line of the log, with its line end.
    pub fn line(&self) -> String {
        let mut line = json::compact_object(&self.0);
        line.push('\n');
        line
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> TaskId {
        TaskId::parse("task_01KA00000000000000000000T1").unwrap()
    }

    #[test]
    fn a_line_has_sorted_keys_and_no_space() {
        let author = Author {
            model: Some("m".to_owned()),
            provenance: Provenance { reason: Some("r\u{e9}".to_owned()), ..Provenance::default() },
            ..Author::new("human:ana")
        };
        let event = author
            .event("x_a", &task(), "2026-03-01T10:00:00Z".to_owned(), json!({"b": 1, "a": []}))
            .with_id("ev_1");
        let expected = concat!(
            r#"{"actor":"human:ana","agent_meta":{"model":"m","session":null},"data":{"a":[],"b":1},"id":"ev_1","#,
            r#""provenance":{"reason":"r\u00e9"},"schema_version":1,"task_id":"task_01KA00000000000000000000T1","#,
            r#""ts":"2026-03-01T10:00:00Z","type":"x_a"}"#,
            "\n"
        );
        assert_eq!(event.line(), expected);
        assert_eq!(Event::parse(event.line().as_bytes()), Some(event));
    }

    #[test]
    fn reading_tolerates_what_is_missing() {
        let event = Event::parse(b"{}").unwrap();
        assert_eq!((event.id(), event.kind(), event.ts(), event.session()), ("", "", "", None));
        assert_eq!((event.actor(), event.data().len(), event.task_id()), (&Value::Null, 0, None));
        assert_eq!(Event::parse(b"[]"), None);
    }

    #[test]
    fn without_agent_meta_and_provenance_the_keys_are_absent() {
        let event = Author::new("human:ana").event("x_a", &task(), String::new(), Value::Null);
        assert_eq!(event.get("agent_meta"), &Value::Null);
        assert_eq!(event.as_map().len(), 7);
        assert_eq!(event.as_map()["data"], json!({}));
    }

    #[test]
    fn only_a_start_names_a_run_and_only_an_end_ends_one() {
        let id = "ev_01KA00000000000000000000R1";
        let start =
            Event::new(PROCESS_STARTED, &task(), "a:b", String::new(), json!({})).with_id(id);
        let end = Event::new(
            PROCESS_FAILED,
            &task(),
            "a:b",
            String::new(),
            json!({"started_event_id": id}),
        );
        assert_eq!((start.run(), start.ended_run()), (RunId::parse(id), None));
        assert_eq!((end.run(), end.ended_run()), (None, Some(id)));
    }
}
