//! The state of a task as a value: what its snapshot file holds.

use serde_json::{Map, Value};

use crate::model::ids::TaskId;
use crate::model::json;

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
        json::pretty_object(&self.0)
    }

    pub fn is_in_file(&self, bytes: &[u8]) -> bool {
        json::is_pretty_object(&self.0, bytes)
    }
}
