//! Watching a run to its end. Ctrl-C ends the watching, never the run.

use std::time::Duration;

use serde_json::Value;

use lattice::model::event::{Event, PROCESS_COMPLETED};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::{RunId, TaskId};
use lattice::runs::context::Context;
use lattice::runs::query::{self, State};
use lattice::runs::wait::wait;

use super::tail::Tail;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::render;
use crate::render::clock::short;
use crate::render::event::one_line;

/// A run, and what to do until it ends.
pub(super) struct Watch<'a> {
    pub(super) run: &'a RunId,
    pub(super) task: &'a TaskId,
    pub(super) timeout: Option<Duration>,
    /// What to show meanwhile.
    pub(super) tail: Option<Tail>,
}

/// Waits for the terminal event.
pub(super) fn watch(session: &Session, ctx: &Context, mut watch: Watch<'_>) -> Result<Event> {
    let interrupts = session.interrupts.watch()?;
    let mut broken = None;
    let silent = watch.tail.is_none();
    let mut wanted = || {
        if let Some(tail) = &mut watch.tail {
            broken = tail.copy(&session.out).err();
        }
        broken.is_none() && !interrupts.interrupted()
    };
    session.out.flush()?;
    let progress = silent.then(|| progress(session, ctx, watch.run, watch.task));
    let ended = wait(ctx, watch.run, watch.task, watch.timeout, &mut wanted);
    drop(progress);
    if let Some(failure) = broken {
        return Err(failure);
    }
    let event = ended?;
    if let Some(tail) = &mut watch.tail {
        tail.copy(&session.out)?;
    }
    Ok(event)
}

/// What the run is doing, and how long it still may.
fn progress(session: &Session, ctx: &Context, run: &RunId, task: &TaskId) -> Progress {
    let open = query::open_of(ctx, task).unwrap_or_default();
    let row = open.into_iter().find(|row| row.run == *run);
    let name = row.as_ref().map_or_else(|| run.to_string(), |row| row.worker.clone());
    let name = one_line(&name).into_owned();
    let runs = row.as_ref().is_some_and(|row| row.state != State::Waiting);
    let (age, left) = row.map_or((None, None), |row| (row.age, row.remaining.filter(|_| runs)));
    let (ctx, run) = (ctx.clone(), run.clone());
    Progress::with(session, move |waited| {
        let age = short(age.unwrap_or_default() + waited);
        if !runs && query::state_of(&ctx, &run) == State::Waiting {
            return format!("{name} waits for a slot, {age}; Ctrl-C only stops the waiting");
        }
        let left = left.map(|left| short(left.saturating_sub(waited)));
        let left = left.map(|left| format!(", {left} left")).unwrap_or_default();
        format!("{name} runs for {age}{left}; Ctrl-C only stops the waiting")
    })
}

/// Makes a run that did not complete the command's own failure. Its data is in the answer all the same.
pub(super) fn verdict(session: &Session, event: &Event, data: Value) -> Result<Value> {
    if event.kind() == PROCESS_COMPLETED {
        return Ok(data);
    }
    session.out.keep(data);
    let run = event.ended_run().unwrap_or_default();
    Err(Failure::new(Code::RunFailed, render::worker::outcome(event))
        .hint(format!("lattice worker logs {}", render::worker::suffix(run))))
}
