//! `lattice worker complete`

use clap::Args;

use lattice::model::failure::Result;
use lattice::model::words::Outcome;

use super::report::{Report, report};
use crate::cli::session::Session;

/// Say that a run has done its work
///
/// A worker need not say it: its end is recorded anyway. What it says becomes the result of a run that completes;
/// a run that fails stays failed. For a run that nobody here supervises (another machine's, or one of the Python
/// tool) this is its end. Saying it again changes nothing; "recorded" in the answer tells whether it did.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker complete --result \"3 findings, none critical\"    inside a worker: its own run
  lattice worker complete LAT-42 ev_01JC...
  lattice worker complete 7QK3ZD --result \"done on the build machine\"")]
pub(crate) struct CompleteArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task [default: the run that this is part of]
    #[arg(value_name = "TASK|RUN")]
    target: Option<String>,
    /// The run, where a task was named first
    #[arg(value_name = "EV")]
    event: Option<String>,
    /// What came out of it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    result: Option<String>,
    /// Who says it [default: the run's own actor]
    #[arg(long)]
    actor: Option<String>,
}

pub(crate) fn complete(session: &Session, args: &CompleteArgs) -> Result<()> {
    let said = Report {
        target: args.target.as_deref(),
        event: args.event.as_deref(),
        outcome: Outcome::Completed,
        text: args.result.as_deref(),
        actor: args.actor.as_deref(),
    };
    report(session, &said)
}
