//! `workers.max_parallel`: how many runs of a project may be open at once. There is no queue: who comes when the
//! project is full is told so.

use super::context::Context;
use super::directory::{self, RunDir};
use crate::model::failure::{Code, Failure, Result};
use crate::storage::task;

/// Runs that start in the same moment do not see each other, so it is a limit of load, not a lock.
pub(super) fn refuse_when_full(ctx: &Context) -> Result<()> {
    let config = task::read_config(&ctx.layout)?;
    let Some(most) = config.workers().max_parallel else { return Ok(()) };
    let runs = directory::list(&ctx.layout.runs())?.runs;
    let open = runs.iter().filter(|run| RunDir::is_held(run)).count();
    if u64::try_from(open).unwrap_or(u64::MAX) < most {
        return Ok(());
    }
    let are = if open == 1 { "run is" } else { "runs are" };
    let message =
        format!("{open} {are} open, and workers.max_parallel in config.json allows {most}");
    Err(Failure::new(Code::AlreadyRunning, message)
        .hint("lattice worker ps shows them; lattice worker wait RUN waits for one"))
}
