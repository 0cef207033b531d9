//! `lattice worker fail`

use clap::Args;

use lattice::model::failure::Result;
use lattice::model::words::Outcome;

use super::report::{Report, report};
use crate::cli::session::Session;

/// Say that a run has failed
///
/// A worker that says it fails with the reason "reported", whatever its exit status is. For a run that nobody here
/// supervises (another machine's, or one of the Python tool) this is its end. Saying it again changes nothing;
/// "recorded" in the answer tells whether it did.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker fail --error \"the tests cannot be built\"    inside a worker: its own run
  lattice worker fail LAT-42 ev_01JC... --error \"lost with the build machine\"
  lattice worker fail 7QK3ZD")]
pub(crate) struct FailArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task [default: the run that this is part of]
    #[arg(value_name = "TASK|RUN")]
    target: Option<String>,
    /// The run, where a task was named first
    #[arg(value_name = "EV")]
    event: Option<String>,
    /// What went wrong [default: Unknown error]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    error: Option<String>,
    /// Who says it [default: the run's own actor]
    #[arg(long)]
    actor: Option<String>,
}

pub(crate) fn fail(session: &Session, args: &FailArgs) -> Result<()> {
    let said = Report {
        target: args.target.as_deref(),
        event: args.event.as_deref(),
        outcome: Outcome::Failed,
        text: args.error.as_deref(),
        actor: args.actor.as_deref(),
    };
    report(session, &said)
}
