//! Locks that the Python tool respects too: `flock(2)` on `locks/<key>.lock`, several keys in code point order.

use std::fmt;
use std::io;
use std::time::Duration;

use fs_err::File;

use super::layout::Layout;
use crate::model::failure::{Code, Failure};
use crate::model::ids::TaskId;

/// Guards `ids.json`. Taken and released before a task's own locks.
pub const IDS_KEY: &str = "ids_json";

/// Keys of an ordinary write to one task.
pub fn task_keys(task: &TaskId) -> Vec<String> {
    vec![format!("events_{task}"), format!("tasks_{task}")]
}

/// Keys of a write that creates, archives or unarchives a task.
pub fn lifecycle_keys(task: &TaskId) -> Vec<String> {
    vec!["events__lifecycle".to_owned(), format!("events_{task}"), format!("tasks_{task}")]
}

/// Held locks. Dropping releases them in reverse order.
#[derive(Debug)]
pub struct Locks {
    held: Vec<File>,
}

#[derive(Debug)]
pub enum LockError {
    /// Somebody else kept this one to the end of our patience.
    Timeout {
        key: String,
    },
    Io(io::Error),
}

pub fn acquire(layout: &Layout, keys: &[String]) -> Result<Locks, LockError> {
    todo!()
}

pub fn acquire_within(
    layout: &Layout,
    keys: &[String],
    patience: Duration,
) -> Result<Locks, LockError> {
    todo!()
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        todo!()
    }
}
