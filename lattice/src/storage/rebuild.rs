//! Everything that is only a copy, made again from the logs: snapshots, the life-cycle log, `ids.json`.

use super::layout::Layout;
use super::lifecycle::Spool;
use super::scan;
use super::task::named::{self, Named};
use super::task::{TaskTxn, read_task_log, task_ids};
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::ids::TaskId;
use crate::model::reduce::Snapshot;

/// Makes the snapshot of one task again, under its locks, and finishes a move that was cut off.
pub fn rebuild_task(layout: &Layout, task: &TaskId) -> Result<()> {
    let mut txn = TaskTxn::begin(layout, task)?;
    txn.settle()?;
    txn.rewrite_snapshot()
}

/// What is derived from all tasks together, gathered from one after the other.
pub struct Derived<'a> {
    layout: &'a Layout,
    lifecycle: Spool,
    named: Named,
}

impl<'a> Derived<'a> {
    pub fn new(layout: &'a Layout) -> Result<Self> {
        layout.ensure_dirs()?;
        Ok(Self { layout, lifecycle: Spool::new(layout)?, named: Named::default() })
    }

    /// Reads each task from its log, after `first` has been done to it, and adds it; `done` hears how it went,
    /// and what of the log was passed over.
    pub fn gather(
        &mut self,
        tasks: &[TaskId],
        first: impl Fn(&TaskId) -> Result<()> + Sync,
        mut done: impl FnMut(&TaskId, Result<Option<String>>),
    ) {
        let layout = self.layout;
        let look = |task: &TaskId| first(task).and_then(|()| read_task_log(layout, task));
        scan::each(tasks, look, |task, read| {
            let added = read.and_then(|read| {
                self.add(task, &read.events, &read.snapshot)?;
                Ok(read.warning)
            });
            done(task, added);
        });
    }

    fn add(&mut self, task: &TaskId, events: &[Event], snapshot: &Snapshot) -> Result<()> {
        self.lifecycle.add(events)?;
        if let Some(short_id) = snapshot.short_id() {
            // Of two tasks with one short ID the older keeps it; `doctor` names both.
            drop(self.named.add(short_id, task));
        }
        Ok(())
    }

    /// Two critical sections, each with its own lock; the failure of one does not keep the other from its work.
    pub fn write(self) -> Result<()> {
        let lifecycle = self.lifecycle.write(self.layout);
        named::restore(self.layout, &self.named).and(lifecycle)
    }
}

/// All tasks that have a log, the active ones first, in the order of their IDs; and what could not be listed.
pub fn tasks_with_logs(layout: &Layout) -> (Vec<TaskId>, Vec<String>) {
    let mut unreadable = Vec::new();
    let mut tasks = task_ids(&layout.events(), "jsonl", &mut unreadable);
    tasks.sort();
    let mut archived = task_ids(&layout.archive_events(), "jsonl", &mut unreadable);
    archived.sort();
    archived.retain(|task| tasks.binary_search(task).is_err());
    tasks.extend(archived);
    (tasks, unreadable)
}
