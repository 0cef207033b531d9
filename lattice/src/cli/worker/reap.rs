//! `lattice worker reap`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::Result;
use lattice::model::ids::TaskId;
use lattice::runs::query;
use lattice::runs::reap::{self, Reaped};

use crate::cli::out::Form;
use crate::cli::progress::Progress;
use crate::cli::runs::{PATIENT, context};
use crate::cli::session::Session;

/// End the runs whose supervisors are dead
///
/// Other commands do this by the way; this one waits for what it ends and says what that was. A run that another
/// command is ending already is left to it, and one that may still be alive on another machine unless it is forced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker reap
  lattice worker reap --force 7QK3ZD    you know that nothing of this run is alive anywhere")]
pub(crate) struct ReapArgs {
    /// End this run without a proof that it is dead (full ID, or 4 or more of its last characters)
    #[arg(long, value_name = "RUN")]
    force: Option<String>,
}

pub(crate) fn reap(session: &Session, args: &ReapArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let progress = Progress::new(session, "ending dead runs");
    let reaped = match &args.force {
        Some(text) => vec![reap::forced(&ctx, &query::find(&ctx, text)?)?],
        None => reap::thoroughly(&ctx, PATIENT)?,
    };
    drop(progress);
    match session.out.form() {
        Form::Json => session.out.data(reaped.iter().map(as_json).collect()),
        Form::Quiet => reaped.iter().try_for_each(|reaped| session.out.line(&reaped.run)),
        Form::Human if reaped.is_empty() => session.out.line("No dead runs."),
        Form::Human => reaped.iter().try_for_each(|reaped| {
            let (run, action) = (&reaped.run, reaped.action.as_str());
            session.out.line(format_args!("  {run}  {action}  {}", reaped.reason))
        }),
    }
}

fn as_json(reaped: &Reaped) -> Value {
    let task = reaped.task.as_ref().map(TaskId::as_str);
    json!({"run": reaped.run.as_str(), "task_id": task, "action": reaped.action.as_str(), "reason": reaped.reason})
}
