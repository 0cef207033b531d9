//! What events and lines answer alike.

use std::borrow::Cow;

use serde_json::Value;

use crate::model::event::{
    Event, PROCESS_COMPLETED, PROCESS_FAILED, TASK_ARCHIVED, TASK_CREATED, TASK_UNARCHIVED,
};

/// What is asked of every event, and for most of them is all. The answers of a line are those of its event.
pub trait Told {
    fn id(&self) -> &str;

    fn kind(&self) -> &str;

    /// The `id` or the `ts` as it stands there.
    fn mark(&self, key: &str) -> Option<Value>;

    /// Whether the data has a `role` that is not null.
    fn has_role(&self) -> bool;

    /// The run that a terminal event ends.
    fn ended_run(&self) -> Option<&str>;

    fn whole(&self) -> Cow<'_, Event>;

    fn is_terminal(&self) -> bool {
        matches!(self.kind(), PROCESS_COMPLETED | PROCESS_FAILED)
    }

    fn is_lifecycle(&self) -> bool {
        matches!(self.kind(), TASK_CREATED | TASK_ARCHIVED | TASK_UNARCHIVED)
    }
}

impl Told for Event {
    fn id(&self) -> &str {
        self.id()
    }

    fn kind(&self) -> &str {
        self.kind()
    }

    fn mark(&self, key: &str) -> Option<Value> {
        self.as_map().get(key).cloned()
    }

    fn has_role(&self) -> bool {
        self.data().get("role").is_some_and(|role| !role.is_null())
    }

    fn ended_run(&self) -> Option<&str> {
        self.ended_run()
    }

    fn whole(&self) -> Cow<'_, Event> {
        Cow::Borrowed(self)
    }
}
