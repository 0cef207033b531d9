//! Starting a run: everything that can be checked is checked, a supervisor is proved alive, and only then the
//! event is recorded.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::context::Context;
use super::directory::{LifeLock, RunDir};
use super::handover::{self, GO, Hello, NO, Role, VERSION};
use super::once::refuse_repeated;
use super::plan::Plan;
use super::preflight::Checked;
use super::slots::Full;
use super::{create, preflight, reap, sandbox, store};
use crate::model::config::WhenFull;
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::run::Spec;
use crate::model::terminal;
use crate::process::channel::{Channel, Received};
use crate::process::helper::Helpers;
use crate::process::undisturbed::Undisturbed;
use crate::storage::task::{self, TaskTxn};
use crate::storage::{gitfiles, replace};

/// The supervisor answers within milliseconds; a cold binary on a slow disk may need seconds.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// A supervisor that is not wanted has only to remove its directory.
const GOES_WITHIN: Duration = Duration::from_secs(5);

/// How long a start waits for the end of an earlier run that is being written.
const ENDING_TAKES: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An open run may die while we look at it; more often than this is no coincidence.
const ATTEMPTS: usize = 3;

pub struct Request {
    pub task: TaskId,
    pub worker: String,
    pub commit: Option<String>,
    pub timeout: Option<Duration>,
    pub actor: Option<String>,
    /// Refuse it if the worker has had this commit of the task before.
    pub once: bool,
    /// Instead of what the project says.
    pub when_full: Option<WhenFull>,
    /// The caller waits for its end.
    pub awaited: bool,
}

#[derive(Debug, Clone)]
pub struct Started {
    pub run: RunId,
    pub task: TaskId,
    pub short_id: Option<String>,
    pub worker: String,
    pub warden_pid: i32,
    pub commit_sha: String,
    pub log_path: PathBuf,
    pub worktree_path: Option<PathBuf>,
    /// It begins when a slot is free.
    pub waits: bool,
    /// What the caller should know although nothing is wrong.
    pub notes: Vec<String>,
}

/// What [`start`] would do, by the same checks, and refused where that would be. Changes nothing.
pub fn plan(
    ctx: &Context,
    request: &Request,
    helpers: &mut dyn Helpers,
) -> Result<(Plan, Vec<String>)> {
    let Checked { spec, mut notes, once, slots, .. } = preflight::check(ctx, request, helpers)?;
    refuse_if_open(ctx, &spec)?;
    notes.extend(slots.refuse_when_full(ctx)?.map(|full| format!("{full}; it would wait")));
    let (events, _, _) = task::read_task(&ctx.layout, &spec.task_id)?;
    if once {
        refuse_repeated(&events, &spec)?;
    }
    if let Some(dead) = open_run(&events, &spec.worker) {
        notes.push(format!("{dead} is dead, and would be ended first"));
    }
    let plan = Plan::new(spec, &ctx.layout, &ctx.caller_env).without_names();
    Ok((plan.within(slots), notes))
}

pub fn start(ctx: &Context, request: &Request, helpers: &mut dyn Helpers) -> Result<Started> {
    // First: who would end dead runs for us does not live on there either.
    sandbox::refuse(ctx, None)?;
    reap::of_task(ctx, &request.task, reap::PATIENCE)?;
    launch(ctx, preflight::check(ctx, request, helpers)?)
}

/// Starts what has been checked.
pub(super) fn launch(ctx: &Context, mut checked: Checked) -> Result<Started> {
    refuse_if_open(ctx, &checked.spec)?;
    checked.slots.refuse_when_full(ctx)?;
    if checked.once {
        let (events, _, _) = task::read_task(&ctx.layout, &checked.spec.task_id)?;
        refuse_repeated(&events, &checked.spec)?;
    }
    // A `.lattice/` of the Python tool ignores none of what a run leaves lying about.
    gitfiles::ensure(&ctx.layout)?;
    checked.spec.store = store::id(&ctx.layout)?;
    let run_id = checked.spec.run_id.clone();
    let (run, life, waits_for) = make(ctx, &checked)?;
    let how = (Role::Warden, checked.caller);
    let (mut channel, mut child) =
        match handover::start(ctx, &run, life, how, &checked.spec.env_keep) {
            Ok(started) => started,
            Err(failure) => {
                // Nothing was spawned, so the lock that `start` consumed is free and the directory nobody's.
                drop(reap::remove(&run));
                return Err(failure);
            }
        };
    let hello = match hear(&mut channel) {
        Ok(hello) => hello,
        Err(failure) => return Err(give_up(ctx, &run_id, channel, failure)),
    };
    // Stage 0 was over before the supervisor could speak; who is not is no concern of ours.
    drop(child.try_wait());
    // From the append to the answer the terminal must not take us away: a stopped CLI would hold the locks.
    let undisturbed = undisturbed()?;
    let decided = record(ctx, &run, &checked, channel);
    drop(undisturbed);
    decided?;
    checked.notes.extend(waits_for.as_ref().map(|full| format!("{full}; it waits for one to end")));
    Ok(started(ctx, checked, &hello, waits_for.is_some()))
}

/// Its directory, locked, and who is in its way, if it is to wait for a slot.
fn make(ctx: &Context, checked: &Checked) -> Result<(RunDir, LifeLock, Option<Full>)> {
    let Checked { spec, slots, .. } = checked;
    let (run, life) = create::directory(&ctx.layout, spec, slots.are_limited())?;
    match slots.enter_or_refuse(ctx, &run) {
        Ok(full) => Ok((run, life, full)),
        Err(failure) => {
            drop(reap::remove(&run));
            Err(failure)
        }
    }
}

fn started(ctx: &Context, checked: Checked, hello: &Hello, waits: bool) -> Started {
    let Checked { spec, notes, .. } = checked;
    Started {
        run: spec.run_id,
        task: spec.task_id,
        short_id: spec.short_id,
        worker: spec.worker,
        warden_pid: hello.pid,
        commit_sha: spec.commit_sha,
        log_path: ctx.layout.dir.join(spec.log_path),
        worktree_path: spec.worktree_path,
        waits,
        notes,
    }
}

fn hear(channel: &mut Channel) -> Result<Hello> {
    let hello: Hello = match channel.receive_within(READY_WITHIN)? {
        Received::Line(line) => serde_json::from_str(&line).map_err(|_| stranger(&line))?,
        Received::Closed => return Err(mute("ended before it was ready")),
        Received::Nothing => return Err(mute("did not get ready within 10 s")),
    };
    if hello.version != VERSION {
        return Err(stranger(&hello.version));
    }
    let Some(trouble) = hello.trouble else { return Ok(hello) };
    // Its lock falls with its exit, which closes the channel: then the directory can go.
    drop(channel.receive_within(GOES_WITHIN)?);
    Err(Failure::new(Code::IoError, format!("the supervisor cannot begin: {trouble}")))
}

fn stranger(version: &str) -> Failure {
    let message = format!("lattice is {VERSION}, but lattice-shim says that it is {version:?}");
    Failure::new(Code::VersionMismatch, message)
        .hint("install both from one build: scripts/install")
}

fn mute(what: &str) -> Failure {
    Failure::new(Code::SpawnError, format!("the supervisor {what}; nothing was started"))
        .hint("run `lattice worker reap`, then try again")
}

/// No event exists, so whoever holds the lock removes the directory: a supervisor that lives after all, when it
/// finds the channel closed, or else a reaper, at once.
fn give_up(ctx: &Context, run: &RunId, mut channel: Channel, failure: Failure) -> Failure {
    if failure.code() == Code::VersionMismatch {
        call_off(&mut channel);
    }
    drop(channel);
    // A process that dies closes its end of the channel a moment before its locks fall.
    let directory = RunDir::at(ctx.layout.run_dir(run));
    let deadline = Instant::now() + reap::PATIENCE;
    while reap::one(ctx, run, reap::PATIENCE).is_none()
        && directory.exists()
        && Instant::now() < deadline
    {
        thread::sleep(LOOK_AGAIN);
    }
    failure
}

/// The last word before the start is durable; behind it the supervisor goes on whatever becomes of us, and is never
/// told to call off what is in the log.
fn record(ctx: &Context, run: &RunDir, checked: &Checked, mut channel: Channel) -> Result<()> {
    let Checked { spec, once, .. } = checked;
    let recorded = match channel.receive() {
        Ok(Received::Closed) => Err(mute("died before the run was recorded")),
        Ok(_) => record_start(ctx, run, spec, *once),
        Err(error) => Err(error.into()),
    };
    if let Err(failure) = recorded {
        call_off(&mut channel);
        return Err(failure);
    }
    let told = channel.send(GO);
    drop(channel);
    match told {
        Err(error) if is_gone(&error) => {}
        // Where the word could not be sent, the end of the channel makes it look for the start in the log.
        _ => return Ok(()),
    }
    // It has begun, and whoever comes next ends it: so do we.
    reap::one(ctx, &spec.run_id, READY_WITHIN);
    let message = format!("the supervisor died when {} had just been recorded", spec.run_id);
    Err(Failure::new(Code::SpawnError, message)
        .hint(format!("its end is in `lattice worker show {}`", spec.run_id)))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// From here on it is a run. Refused, with nothing written, if it may not start now.
pub fn record_start(ctx: &Context, run: &RunDir, spec: &Spec, once: bool) -> Result<()> {
    let line = append_start(ctx, run, spec, once)?;
    // The copy brings the start back if git takes the line away under the run. Should it fail, the line stands.
    drop(replace::publish_unsynced(&run.started(), line.as_bytes()));
    Ok(())
}

fn append_start(ctx: &Context, run: &RunDir, spec: &Spec, once: bool) -> Result<String> {
    for _ in 0..ATTEMPTS {
        let mut txn = TaskTxn::begin(&ctx.layout, &spec.task_id)?;
        if txn.is_archived() {
            return Err(preflight::archived(display(spec)));
        }
        let Some(other) = open_run(txn.events(), &spec.worker) else {
            // A reaper that found the lock of a dead supervisor free removes it under these locks, never later.
            if !run.exists() {
                return Err(mute("died, and its directory was removed"));
            }
            if once {
                refuse_repeated(txn.events(), spec)?;
            }
            let event = terminal::started(spec);
            txn.append(&event)?;
            drop(txn.write_snapshot());
            return Ok(event.line());
        };
        if is_supervised(ctx, &other) {
            return Err(already_running(ctx, spec, &other));
        }
        // Its lock is free. Nobody reaps under the task's locks, so: let go, reap, look again.
        drop(txn);
        reap::of_task(ctx, &spec.task_id, READY_WITHIN)?;
    }
    let message = format!("an earlier run of {} on {} cannot be ended", spec.worker, display(spec));
    Err(Failure::new(Code::AlreadyRunning, message).hint("lattice worker reap"))
}

/// Before anything is made: sixteen callers at once need not all make a directory. A run whose end is being
/// written right now is waited for, because in a moment it is over.
pub fn refuse_if_open(ctx: &Context, spec: &Spec) -> Result<()> {
    let deadline = Instant::now() + ENDING_TAKES;
    loop {
        let (events, _, _) = task::read_task(&ctx.layout, &spec.task_id)?;
        let open = open_run(&events, &spec.worker).filter(|other| is_supervised(ctx, other));
        match open {
            None => return Ok(()),
            Some(other) if !is_ending(ctx, &other) || Instant::now() > deadline => {
                return Err(already_running(ctx, spec, &other));
            }
            Some(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

fn is_ending(ctx: &Context, run: &RunId) -> bool {
    RunDir::at(ctx.layout.run_dir(run)).is_ending()
}

fn open_run(events: &[Event], worker: &str) -> Option<RunId> {
    let open = crate::model::reduce::open_runs(events);
    open.into_iter()
        .find(|open| open.process_type.eq_ignore_ascii_case(worker))
        .map(|open| open.run)
}

/// A run without a directory may be supervised elsewhere: only its own store can say, so it counts as alive.
fn is_supervised(ctx: &Context, run: &RunId) -> bool {
    let directory = RunDir::at(ctx.layout.run_dir(run));
    !directory.exists() || directory.is_held()
}

fn already_running(ctx: &Context, spec: &Spec, other: &RunId) -> Failure {
    let message = format!("{} is already running on {} as {other}", spec.worker, display(spec));
    let (message, hint) = if RunDir::at(ctx.layout.run_dir(other)).exists() {
        (message, format!("lattice worker wait {other}, or lattice worker stop {other}"))
    } else {
        let message = format!("{message}, unsupervised: started elsewhere or by another tool");
        (message, format!("if it is over: lattice worker fail {other}"))
    };
    Failure::new(Code::AlreadyRunning, message).hint(hint).detail("run", other.as_str())
}

pub(super) fn display(spec: &Spec) -> &str {
    spec.short_id.as_deref().unwrap_or(spec.task_id.as_str())
}

/// The supervisor removes the directory and leaves; when the channel closes nothing of the attempt is left.
fn call_off(channel: &mut Channel) {
    if channel.send(NO).is_ok() {
        drop(channel.receive_within(GOES_WITHIN));
    }
}

pub(super) fn undisturbed() -> Result<Undisturbed> {
    Undisturbed::begin().map_err(|error| Failure::io("cannot block signals", error))
}

/// The value of a variable of the caller.
pub(super) fn variable(ctx: &Context, name: &str) -> Option<OsString> {
    ctx.caller_env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}
