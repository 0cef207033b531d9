//! Everything that is only a copy, made again from the logs: snapshots, the life-cycle log, `ids.json`.

use super::agreement::Said;
use super::layout::Layout;
use super::lifecycle::Spool;
use super::lock;
use super::scan;
use super::task::named::{self, Named};
use super::task::{Place, TaskLog, TaskTxn, each_in, read_task_log, task_ids};
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::ids::TaskId;

/// Makes the snapshot of one task again, under its locks, and finishes a move that was cut off.
pub fn rebuild_task(layout: &Layout, task: &TaskId) -> Result<()> {
    again(task, TaskTxn::begin(layout, task)?).map(drop)
}

/// What the task says, and what of its log was passed over.
fn again(task: &TaskId, mut txn: TaskTxn) -> Result<(Said, Option<String>)> {
    txn.settle()?;
    txn.rewrite_snapshot()?;
    let said = Said::by(task, txn.events(), txn.snapshot().short_id());
    Ok((said, txn.warning()))
}

/// The same for all that have a log, and what is derived from them together, where that is not what it should be.
/// `done` hears of each task how it went, and what of its log was passed over. The answer is what could not be listed.
pub fn rebuild_all(
    layout: &Layout,
    mut done: impl FnMut(&TaskId, Result<Option<String>>),
) -> Result<Vec<String>> {
    layout.ensure_dirs()?;
    let (mut said, mut unreadable) = (Said::default(), Vec::new());
    // The directories are there, and so was the log when it was listed.
    let rebuild = |task: &TaskId| {
        let locks = lock::acquire(layout, &lock::task_keys(task))?;
        again(task, TaskTxn::open(layout, task, false, locks)?)
    };
    each_in(&logs(layout), &mut unreadable, &mut |tasks, is_new| {
        let look = |task: &TaskId| is_new(task).then(|| rebuild(task));
        scan::each(tasks, look, |task, result: Option<Result<_>>| {
            let Some(result) = result else { return };
            said.add(result.as_ref().map_or(Said::UNKNOWN, |(said, _)| *said));
            done(task, result.map(|(_, warning)| warning));
        });
    });
    if !said.is_agreed(layout, true) {
        let mut tasks: Vec<TaskId> = logs(layout)
            .iter()
            .flat_map(|(dir, extension)| task_ids(dir, extension, &mut Vec::new()))
            .collect();
        tasks.sort();
        tasks.dedup();
        derive_again(layout, &tasks)?;
    }
    Ok(unreadable)
}

/// The active ones first.
fn logs(layout: &Layout) -> [Place; 2] {
    [(layout.events(), "jsonl"), (layout.archive_events(), "jsonl")]
}

/// Makes what is derived from these tasks together, which takes memory for each of them.
pub(super) fn derive_again(layout: &Layout, tasks: &[TaskId]) -> Result<()> {
    layout.ensure_dirs()?;
    let (mut lifecycle, mut names) = (Spool::new(layout)?, Named::default());
    let mut spooled = Ok(());
    let look = |task: &TaskId| read_task_log(layout, task).map(Gathered::from);
    scan::each(tasks, look, |task, gathered| {
        // A task that cannot be read has been named; its lines in the life-cycle log are kept.
        let Ok(gathered) = gathered else { return };
        if spooled.is_ok() {
            spooled = lifecycle.add(&gathered.lifecycle);
        }
        // Of two tasks with one short ID the older keeps it; `doctor` names both.
        drop(gathered.short_id.map(|short_id| names.add(&short_id, task)));
    });
    spooled?;
    // Two critical sections, each with its own lock; the failure of one does not keep the other from its work.
    let lifecycle = lifecycle.write(layout);
    named::restore(layout, &names).and(lifecycle)
}

/// What is needed of one task.
struct Gathered {
    lifecycle: Vec<Event>,
    short_id: Option<String>,
}

impl From<TaskLog> for Gathered {
    fn from(log: TaskLog) -> Self {
        let short_id = log.snapshot.short_id().map(str::to_owned);
        let lifecycle = log.events.into_iter().filter(Event::is_lifecycle).collect();
        Self { lifecycle, short_id }
    }
}
