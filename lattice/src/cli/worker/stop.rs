//! `lattice worker stop`

use clap::Args;

use lattice::model::failure::Result;
use lattice::runs::{query, stop as stopping};

use crate::cli::progress::Progress;
use crate::cli::runs::context;
use crate::cli::session::Session;
use crate::render;

/// End a run
///
/// The worker and everything that it has started get TERM, then, after the grace of its definition, KILL. What
/// it has changed is saved. Returns when the end is recorded, as failed with the reason stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker stop LAT-42
  lattice worker stop 7QK3ZD --now")]
pub(crate) struct StopArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its one open run
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// Without the grace
    #[arg(long)]
    now: bool,
}

pub(crate) fn stop(session: &Session, args: &StopArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let run = query::find_of_task_or_run(&ctx, &args.target, false)?;
    let task = query::view(&ctx, &run)?.task;
    let interrupts = session.interrupts.watch()?;
    let progress = Progress::new(session, format!("stopping {run}"));
    let event = stopping::stop(&ctx, &run, &task, args.now, &mut || !interrupts.interrupted())?;
    drop(progress);
    session.out.answer(event.to_value(), event.id(), render::worker::outcome(&event))
}
