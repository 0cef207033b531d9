//! `lattice worker wait`

use std::time::Duration;

use clap::Args;

use lattice::model::failure::Result;
use lattice::runs::query;

use super::duration;
use super::watch::{Watch, verdict, watch};
use crate::cli::runs::context;
use crate::cli::session::Session;
use crate::render;

/// Wait for the end of a run
///
/// Exit status: 0 if it completed, 4 if it did not, 3 if the time was over first. Ctrl-C only stops the waiting.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker wait LAT-42
  lattice worker wait 7QK3ZD --timeout 10m || lattice worker logs 7QK3ZD")]
pub(crate) struct WaitArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its open run, else its newest
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// Give up after this: 90s, 10m, 2h, or a number of seconds
    #[arg(long, value_name = "DURATION", value_parser = duration::seconds)]
    timeout: Option<Duration>,
}

pub(crate) fn wait(session: &Session, args: &WaitArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let run = query::find_of_task_or_run(&ctx, &args.target, true)?;
    let task = query::view(&ctx, &run)?.task;
    let event =
        watch(session, &ctx, Watch { run: &run, task: &task, timeout: args.timeout, tail: None })?;
    let data = verdict(session, &event, event.to_value())?;
    session.out.answer(data, event.id(), render::worker::outcome(&event))
}
