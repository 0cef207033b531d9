//! What a task is, computed from its events alone. Total: whatever a log holds, there is an answer.

use serde_json::{Map, Value};

use super::event::Event;
use super::ids::{RunId, TaskId};

/// The state of a task, as it stands in its snapshot file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot(pub Map<String, Value>);

impl Snapshot {
    /// Full ID; empty if the snapshot has none.
    pub fn id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    pub fn task_id(&self) -> Option<TaskId> {
        TaskId::parse(self.id())
    }

    pub fn short_id(&self) -> Option<&str> {
        self.text("short_id")
    }

    /// Short ID if there is one, else the full ID.
    pub fn display_id(&self) -> &str {
        self.short_id().unwrap_or_else(|| self.id())
    }

    pub fn title(&self) -> &str {
        self.text("title").unwrap_or_default()
    }

    pub fn status(&self) -> &str {
        self.text("status").unwrap_or_default()
    }

    /// A field that holds a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The bytes of the snapshot file.
    pub fn file_text(&self) -> String {
        super::json::pretty(&Value::Object(self.0.clone()))
    }
}

/// A run that has started and not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    pub run: RunId,
    /// The worker's name; `unknown` if the event has none.
    pub process_type: String,
    /// `unknown` if the event has none.
    pub commit_sha: String,
    pub started_at: String,
    pub timeout_minutes: Option<f64>,
    pub actor: Value,
    /// The `process_started` event itself.
    pub event: Event,
}

/// Replays a log in file order; `None` before any `task_created`.
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Snapshot> {
    todo!()
}

/// Runs without a terminal event anywhere in the log: a merge may bring an end before its start.
pub fn open_runs(events: &[Event]) -> Vec<OpenRun> {
    todo!()
}

/// The terminal event of a run: of several, the first counts.
pub fn terminal_of<'a>(events: &'a [Event], run: &RunId) -> Option<&'a Event> {
    events.iter().find(|event| event.ended_run() == Some(run.as_str()))
}
