//! Tasks on disk: every change starts from a replay of the log under its lock; the snapshot is written from that.

use super::layout::Layout;
use super::lock::Locks;
use super::log::Place;
use crate::model::config::Config;
use crate::model::event::{Author, Event};
use crate::model::failure::Result;
use crate::model::ids::TaskId;
use crate::model::reduce::{OpenRun, Snapshot};

/// One read-modify-write of a task. Holds the task's locks until it is dropped; so be quick.
#[derive(Debug)]
pub struct TaskTxn {
    locks: Locks,
}

impl TaskTxn {
    /// Locks the task, repairs its log and replays it. `NOT_FOUND` if there is no log anywhere.
    pub fn begin(layout: &Layout, task: &TaskId) -> Result<Self> {
        todo!()
    }

    /// The same for a write that creates, archives or unarchives.
    pub fn begin_lifecycle(layout: &Layout, task: &TaskId) -> Result<Self> {
        todo!()
    }

    /// Where the log was found.
    pub fn place(&self) -> Place {
        todo!()
    }

    pub fn is_archived(&self) -> bool {
        todo!()
    }

    pub fn events(&self) -> &[Event] {
        todo!()
    }

    pub fn snapshot(&self) -> &Snapshot {
        todo!()
    }

    /// Appends one synced line; never creates a log. On an error nothing has been appended.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        todo!()
    }

    /// Appends a stored event line as it is.
    pub fn append_raw(&mut self, line: &str) -> Result<()> {
        todo!()
    }

    /// Replaces the snapshot by the replayed one; unknown keys of the old one are kept.
    pub fn write_snapshot(&self) -> Result<()> {
        todo!()
    }
}

/// A task to be. All values are final: defaults and validation are the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTask {
    pub title: String,
    pub kind: String,
    pub priority: String,
    pub urgency: Option<String>,
    pub complexity: Option<String>,
    pub status: String,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub assigned_to: Option<String>,
    /// Given: creating the same task again is success without a write.
    pub id: Option<TaskId>,
}

/// Creates a task; `false` if it was there already with the same content.
pub fn create_task(
    layout: &Layout,
    config: &Config,
    new: &NewTask,
    author: &Author,
) -> Result<(Snapshot, bool)> {
    todo!()
}

/// Reads a task from its log without a lock; `true` if it is archived.
pub fn read_task(layout: &Layout, task: &TaskId) -> Result<(Vec<Event>, Snapshot, bool)> {
    todo!()
}

/// A full or short ID in any case.
pub fn resolve_task(layout: &Layout, text: &str) -> Result<TaskId> {
    todo!()
}

/// All snapshots by full ID, `true` for archived ones, and a sentence for each file that could not be read.
pub fn list_snapshots(
    layout: &Layout,
    include_archived: bool,
) -> (Vec<(Snapshot, bool)>, Vec<String>) {
    todo!()
}

/// Tasks whose snapshots mention open runs: candidates, to be confirmed by [`open_runs_of`].
pub fn read_open_runs(layout: &Layout) -> Vec<TaskId> {
    todo!()
}

/// The open runs of a task by its log.
pub fn open_runs_of(layout: &Layout, task: &TaskId) -> Result<Vec<OpenRun>> {
    todo!()
}

/// The project's configuration.
pub fn read_config(layout: &Layout) -> Result<Config> {
    todo!()
}
