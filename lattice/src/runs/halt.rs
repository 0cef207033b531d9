//! Making sure that no run of a task is open, before something that a run must not live to see.

use std::time::Duration;

use super::context::Context;
use super::query::{self, OpenRow};
use super::{reap, stop};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::reduce::OpenRun;

/// For the ends of runs whose supervisors are dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the dead runs of a task; the living ones are a refusal, or with `force` are stopped first. Takes its time,
/// so the caller holds no lock of the task and looks again when it does.
pub fn halt(
    ctx: &Context,
    task: &TaskId,
    force: bool,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    reap::of_task(ctx, task, PATIENCE)?;
    let open = query::open_of(ctx, task)?;
    // All are looked at before the first is stopped.
    for row in &open {
        may_stop(ctx, row, force)?;
    }
    for row in &open {
        stop::stop(ctx, &row.run, task, false, wanted)?;
    }
    Ok(())
}

fn may_stop(ctx: &Context, row: &OpenRow, force: bool) -> Result<()> {
    if ctx.own_run.as_ref() == Some(&row.run) {
        return Err(Failure::new(
            Code::ValidationError,
            format!("{} is the run that this command is part of, and it is still open", row.run),
        )
        .hint("do it from outside, once the run has ended"));
    }
    if row.state == query::State::Unsupervised {
        return Err(Failure::new(
            Code::NotSupervised,
            format!(
                "the run {} of {} is open, and nobody on this machine supervises it",
                row.run, row.worker
            ),
        )
        .hint(format!("if it is not alive anywhere: lattice worker reap --force {}", row.run)));
    }
    if force { Ok(()) } else { Err(still_open(&row.worker, row.run.as_str())) }
}

/// The same answer under the locks, where nobody may be waited for.
pub fn refuse_open(open: &[OpenRun]) -> Result<()> {
    open.first().map_or(Ok(()), |run| Err(still_open(&run.process_type, run.run.as_str())))
}

fn still_open(worker: &str, run: &str) -> Failure {
    Failure::new(Code::StillRunning, format!("the run {run} of {worker} is still open"))
        .hint("wait for it, or add --force to stop it first")
        .detail("run", run)
}
