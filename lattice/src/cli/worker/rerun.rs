//! `lattice worker rerun`

use clap::Args;

use lattice::model::config::WhenFull;
use lattice::model::failure::Result;
use lattice::process::bounded::Bounded;
use lattice::runs::query;
use lattice::runs::rerun as again;

use super::run::{tell, when_full};
use crate::cli::progress::Progress;
use crate::cli::runs::context;
use crate::cli::session::Session;

/// Start a run again
///
/// The same worker on the same task and commit, with the definition as it was for that run: what was edited since
/// is named, and changes nothing. The environment is yours, as always.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker rerun 7QK3ZD --follow
  lattice worker rerun LAT-42    the newest run of that task")]
pub(crate) struct RerunArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its newest run
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// What to do while workers.max_parallel runs are at work, as for `worker run`
    #[arg(long, value_name = "CHOICE", value_parser = when_full())]
    when_full: Option<WhenFull>,
    /// Wait for its end
    #[arg(long, conflicts_with = "follow")]
    wait: bool,
    /// Show its output until its end; with --json or --quiet, only wait
    #[arg(long)]
    follow: bool,
}

pub(crate) fn rerun(session: &Session, args: &RerunArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let run = query::find_of_task_or_run(&ctx, &args.target, true)?;
    let view = query::view(&ctx, &run)?;
    let progress = Progress::new(session, format!("starting {} again", view.worker));
    let awaited = args.wait || args.follow;
    let started = again::rerun(&ctx, &view, args.when_full, awaited, &mut Bounded)?;
    drop(progress);
    session.out.warn_all(started.notes.clone());
    tell(session, &ctx, &started, (args.wait, args.follow))
}
