//! Waiting for the end of a run: on its `ended` lock, which falls with its last supervisor, in any pid namespace.

use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::context::Context;
use super::directory::RunDir;
use super::{query, reap};
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};

/// How often a wait asks whether it is still wanted.
const TICK: Duration = Duration::from_millis(100);

/// Between the removal of the directory and the exit of the last supervisor.
const LET_GO: Duration = Duration::from_secs(1);

/// While a reaper holds a dead run without its `ended`: bounded by the reaper's own limits.
const RETRY: Duration = Duration::from_millis(50);

/// Of another user's run only the log can be looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Waits for the terminal event. `wanted` is asked at every tick, and its `false` ends the wait as interrupted.
pub fn wait(
    ctx: &Context,
    run: &RunId,
    task: &TaskId,
    timeout: Option<Duration>,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<Event> {
    refuse_own(ctx, run)?;
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let directory = RunDir::at(ctx.layout.run_dir(run));
    loop {
        until_released(&directory, run, deadline, wanted)?;
        let reaped = reap::one(ctx, run, remaining(deadline).min(Duration::from_mins(10)));
        if let Some(event) = query::terminal(ctx, run, task)? {
            return Ok(event);
        }
        if let Some(left) = reaped.filter(|reaped| reaped.action == reap::Action::Left) {
            return Err(Failure::new(
                Code::NotSupervised,
                format!("{run} cannot be ended from here: {}", left.reason),
            )
            .hint(format!("lattice worker reap --force {run}")));
        }
        if !directory.exists() {
            return Err(Failure::new(
                Code::NotSupervised,
                format!("{run} is open in the log, but nobody here supervises it"),
            )
            .hint(format!("if it is over: lattice worker fail {run}")));
        }
        pause(if directory.is_closed() { LOOK } else { RETRY }, run, deadline, wanted)?;
    }
}

pub(super) fn refuse_own(ctx: &Context, run: &RunId) -> Result<()> {
    if ctx.own_run.as_ref() != Some(run) {
        return Ok(());
    }
    Err(Failure::new(
        Code::ValidationError,
        format!("{run} is the run that this command is part of"),
    )
    .hint("wait for it from outside"))
}

fn until_released(
    directory: &RunDir,
    run: &RunId,
    deadline: Option<Instant>,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    let Ok(ended) = fs_err::File::open(directory.ended()) else { return Ok(()) };
    let mut is_free = lock_freed(ended.into_file());
    let mut gone = None;
    loop {
        if is_free(TICK.min(remaining(deadline))) {
            return Ok(());
        }
        still_wanted(run, deadline, wanted)?;
        // Ended, although a supervisor that was stopped may keep the lock for ever.
        if !directory.exists() && gone.get_or_insert_with(Instant::now).elapsed() > LET_GO {
            return Ok(());
        }
    }
}

/// Waits so long for the lock, and tells whether it is free. The blocking flock is a thread's: it cannot be given a time
/// limit, and dies with the process. Where the system gives no thread, the lock is tried each time instead.
fn lock_freed(ended: File) -> impl FnMut(Duration) -> bool {
    let ended = Arc::new(ended);
    let (send, receive) = mpsc::channel();
    let blocking = Arc::clone(&ended);
    let thread = thread::Builder::new().spawn(move || drop(send.send(blocking.lock_shared())));
    move |time| {
        if thread.is_ok() {
            return !matches!(receive.recv_timeout(time), Err(RecvTimeoutError::Timeout));
        }
        thread::sleep(time);
        !matches!(ended.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

fn pause(
    time: Duration,
    run: &RunId,
    deadline: Option<Instant>,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    let until = Instant::now() + time.min(remaining(deadline));
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return still_wanted(run, deadline, wanted);
        }
        thread::sleep(TICK.min(left));
        still_wanted(run, deadline, wanted)?;
    }
}

fn still_wanted(
    run: &RunId,
    deadline: Option<Instant>,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    if !wanted() {
        let message = format!("stopped watching; {run} goes on");
        return Err(Failure::new(Code::Interrupted, message)
            .hint(format!("to end it: lattice worker stop {run}")));
    }
    if remaining(deadline).is_zero() {
        let message = format!("{run} is still running");
        return Err(
            Failure::new(Code::StillRunning, message).hint(format!("lattice worker logs {run} -f"))
        );
    }
    Ok(())
}

fn remaining(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}
