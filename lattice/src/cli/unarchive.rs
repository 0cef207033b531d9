//! `lattice unarchive`

use clap::Args;

use lattice::model::failure::Result;

use super::identity::WriteArgs;
use super::moving::{self, Move, no_task};
use super::session::Session;

/// Bring tasks back from the archive
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice unarchive LAT-42 --actor human:ana
  lattice unarchive LAT-1 LAT-2,LAT-3 --actor human:ana
  lattice list --include-archived             archived tasks end in [A]")]
pub(crate) struct UnarchiveArgs {
    /// Short IDs (LAT-42) or full IDs, also several with commas between them
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn unarchive(session: &Session, args: &UnarchiveArgs) -> Result<()> {
    let moving = Move::new(session, &args.write, false, false)?;
    match &moving::split(&args.tasks)[..] {
        [] => Err(no_task().hint("lattice list --include-archived shows what is in the archive")),
        [task] => moving.single(task),
        tasks => moving.several(tasks, ""),
    }
}
