//! `lattice archive`

use std::time::{Duration, SystemTime};

use clap::Args;

use lattice::model::failure::Result;
use lattice::model::reduce::Snapshot;
use lattice::model::time;
use lattice::storage::layout::Layout;
use lattice::storage::task::list_snapshots;

use super::identity::WriteArgs;
use super::moving::{self, Move, no_task};
use super::session::Session;

/// Put tasks into the archive
///
/// An archived task can be read and brought back, but not changed. A task with an open run is refused, unless
/// --force stops the run first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice archive LAT-42 --actor human:ana
  lattice archive LAT-1 LAT-2,LAT-3 --actor human:ana
  lattice archive --stale --actor human:ana       what was done before yesterday")]
pub(crate) struct ArchiveArgs {
    /// Short IDs (LAT-42) or full IDs, also several with commas between them
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
    /// All tasks that have been done since before yesterday (UTC)
    #[arg(long, conflicts_with = "tasks")]
    stale: bool,
    /// Stop the open runs of the tasks first
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn archive(session: &Session, args: &ArchiveArgs) -> Result<()> {
    let moving = Move::new(session, &args.write, true, args.force)?;
    if args.stale {
        let tasks = stale(session, &moving.change.layout, SystemTime::now());
        return moving.several(&tasks, "No stale done tasks found.");
    }
    match &moving::split(&args.tasks)[..] {
        [] => Err(no_task().hint("lattice archive TASK, or --stale for all that are done")),
        [task] => moving.single(task),
        tasks => moving.several(tasks, ""),
    }
}

/// Done before the last midnight but one, by their full IDs.
fn stale(session: &Session, layout: &Layout, now: SystemTime) -> Vec<String> {
    const DAY: u64 = 24 * 60 * 60;
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let midnight = (seconds / DAY).saturating_sub(1) * DAY;
    let limit = time::timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(midnight));
    let is_stale = |task: &Snapshot| {
        let done_at = task.text("done_at").or_else(|| task.text("updated_at"));
        task.status() == "done" && done_at.is_some_and(|done_at| *done_at < *limit)
    };
    let (tasks, unreadable) = list_snapshots(layout, false);
    session.out.warn_all(unreadable);
    let stale = tasks.into_iter().filter(|(task, _)| is_stale(task));
    stale.map(|(task, _)| task.id().to_owned()).collect()
}
