//! Ending runs whose supervisors are dead. The proof and the lock are taken here; `lattice-shim finish` does the
//! work, so that no caller, however short its patience, leaves it half done.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::context::Context;
use super::directory::{LifeLock, RunDir, Take};
use super::end::leftover;
use super::examine::{Verdict, examine, is_missing};
use super::handover::{self, Caller, Role};
use super::listing;
use super::lost;
use super::pool;
use super::start::undisturbed;
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::run::Spec;
use crate::process::channel::{Channel, Received};
use crate::storage::delete;
use crate::storage::layout::Layout;
use crate::storage::task::{self, TaskTxn};

/// How long an ordinary command waits for a run that it has handed over.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// A `.new-` directory without a lock may be one that is being made right now, by a process that sleeps.
const YOUNG: Duration = Duration::from_mins(1);

/// What became of one run.
#[derive(Debug, Clone)]
pub struct Reaped {
    pub run: RunId,
    pub task: Option<TaskId>,
    pub action: Action,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Finished,
    /// Handed over, but longer at work than the caller wanted to wait.
    Finishing,
    /// It never was a run.
    Removed,
    Left,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Finishing => "finishing",
            Self::Removed => "removed",
            Self::Left => "left",
        }
    }
}

/// Every dead run of the project, and what crashes left. Runs that live are not in the answer.
pub fn all(ctx: &Context, patience: Duration) -> Result<Vec<Reaped>> {
    among(ctx, &task::read_open_runs(&ctx.layout), patience)
}

/// The same where a run that has no directory is looked for in the logs of these tasks alone, because no other is
/// shown, or no other can have one.
pub fn among(ctx: &Context, tasks: &[TaskId], patience: Duration) -> Result<Vec<Reaped>> {
    let listing = listing::list(&ctx.layout.runs())?;
    listing.retired.into_iter().for_each(|path| leftover::collect(RunDir::at(path)));
    for path in &listing.unfinished {
        drop(collect_unfinished(path));
    }
    let mut reaped = some(ctx, &listing.runs, patience);
    for task in tasks {
        reaped.extend(lost::settle(ctx, task)?);
    }
    Ok(reaped)
}

/// The same with the patience of somebody who asked for just this: trees that crashes left are deleted, and ends
/// that git has taken out of the logs are looked for in all records.
pub fn thoroughly(ctx: &Context, patience: Duration) -> Result<Vec<Reaped>> {
    let mut reaped = all(ctx, patience)?;
    reaped.extend(lost::settle_recorded(ctx)?);
    for path in listing::trash(&ctx.layout.worktrees())? {
        drop(delete::delete_tree(&path));
    }
    pool::collect(&ctx.layout.worktrees());
    Ok(reaped)
}

/// The dead runs of one task.
pub fn of_task(ctx: &Context, task: &TaskId, patience: Duration) -> Result<Vec<Reaped>> {
    let mut runs = listing::list(&ctx.layout.runs())?.runs;
    runs.retain(|run| run.task().is_some_and(|of| of == *task));
    let mut reaped = some(ctx, &runs, patience);
    reaped.extend(lost::settle(ctx, task)?);
    Ok(reaped)
}

pub fn one(ctx: &Context, run: &RunId, patience: Duration) -> Option<Reaped> {
    some(ctx, &[RunDir::at(ctx.layout.run_dir(run))], patience).pop()
}

/// Ends a run for which no proof can be had, because a person says that nobody runs it.
pub fn forced(ctx: &Context, run: &RunId) -> Result<Reaped> {
    let directory = RunDir::at(ctx.layout.run_dir(run));
    let undisturbed = undisturbed()?;
    match directory.take()? {
        Take::Taken(life) => {
            let begun = begin(ctx, &directory, life, true);
            drop(undisturbed);
            Ok(settle(begun, far()))
        }
        Take::Held => {
            let message =
                format!("{run} is supervised, or being finished, by a process of this machine");
            Err(Failure::new(Code::StillRunning, message)
                .hint(format!("lattice worker stop {run}")))
        }
        Take::NotOurs => Err(Failure::new(
            Code::IoError,
            format!("{} belongs to another user", directory.path().display()),
        )),
        Take::Gone => lost::force(ctx, run),
    }
}

/// All are handed over before the first is waited for.
fn some(ctx: &Context, runs: &[RunDir], patience: Duration) -> Vec<Reaped> {
    let begun: Vec<Begun> = runs.iter().filter_map(|run| attempt(ctx, run)).collect();
    let deadline = Instant::now() + patience;
    begun.into_iter().map(|begun| settle(begun, deadline)).collect()
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// A run that a supervisor is finishing now, or whose case was settled without one.
struct Begun {
    reaped: Reaped,
    at_work: Option<Channel>,
}

fn attempt(ctx: &Context, run: &RunDir) -> Option<Begun> {
    let id = run.run_id()?;
    if ctx.own_run.as_ref() == Some(&id) {
        return None;
    }
    // Whoever stopped between the lock and the hand-over would keep a dead run looking alive.
    let _undisturbed = undisturbed().ok()?;
    match run.take() {
        Ok(Take::Taken(life)) => Some(begin(ctx, run, life, false)),
        // Whether it is dead can only be seen by one who may look, such as root.
        Ok(Take::NotOurs) if !run.is_held() => Some(left(id, None, "it is another user's")),
        Ok(Take::Held | Take::Gone | Take::NotOurs) => None,
        Err(error) => Some(left(id, None, &error.to_string())),
    }
}

fn begin(ctx: &Context, run: &RunDir, life: LifeLock, forced: bool) -> Begun {
    let id = run.run_id().expect("a directory is only taken under the name of a run");
    let spec = match run.spec() {
        Ok(spec) => spec,
        Err(failure) => return without_spec(run, id, &failure),
    };
    let task = Some(spec.task_id.clone());
    match examine(&ctx.layout, run, &spec, forced) {
        Ok(Verdict::NeverRan) => removed(remove_unborn(&ctx.layout, run, &spec), id, task),
        Ok(Verdict::Leave(why)) => left(id, task, &why),
        Ok(Verdict::Dead(facts)) => {
            let role = if forced { Role::FinishForced } else { Role::Finish };
            match handover::start(ctx, run, life, (role, Caller::Stays), &spec.env_keep) {
                Ok((channel, _stage0)) => {
                    let reason =
                        serde_json::json!(facts.reason).as_str().unwrap_or_default().to_owned();
                    let reaped = Reaped { run: id, task, action: Action::Finishing, reason };
                    Begun { reaped, at_work: Some(channel) }
                }
                Err(failure) => left(id, task, &failure.to_string()),
            }
        }
        Err(failure) => left(id, task, &failure.to_string()),
    }
}

fn removed(outcome: Result<()>, id: RunId, task: Option<TaskId>) -> Begun {
    match outcome {
        Ok(()) => done(id, task, Action::Removed, "it was given up before it started"),
        Err(failure) => left(id, task, &failure.to_string()),
    }
}

/// Under the task's locks, because the CLI of such a run may be waiting for just these to record its start: it
/// looks for the directory under them, and we for the start.
pub fn remove_unborn(layout: &Layout, run: &RunDir, spec: &Spec) -> Result<()> {
    let txn = match TaskTxn::begin(layout, &spec.task_id) {
        Ok(txn) => Some(txn),
        Err(failure) if failure.code() == Code::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let started = |event: &Event| event.id() == spec.run_id.as_str();
    if txn.as_ref().is_some_and(|txn| txn.events().iter().any(started)) {
        return Err(Failure::new(Code::StillRunning, "its start was recorded in this moment"));
    }
    let old = put_away(run)?;
    drop(txn);
    Ok(delete::delete_tree(&old)?)
}

/// Only what was read and makes no sense is set aside. A newer version's spec is left to the newer binaries, and
/// one that could not be read to the next call.
fn without_spec(run: &RunDir, id: RunId, failure: &Failure) -> Begun {
    match is_empty_shell(run) {
        Ok(true) => removed(remove(run).map_err(Into::into), id, None),
        Ok(false) if failure.code() == Code::ValidationError => set_aside(run, id, failure),
        Ok(false) | Err(_) => left(id, None, &failure.to_string()),
    }
}

/// A spec that nobody can read leads nowhere, but may be all that is known of a worktree: kept under another
/// name. The run is then one that is open in its log without a directory.
fn set_aside(run: &RunDir, id: RunId, failure: &Failure) -> Begun {
    let aside = run.path().with_file_name(format!(".bad-{id}"));
    match fs_err::rename(run.path(), &aside) {
        Ok(()) => left(id, None, &format!("{failure}; its directory is now {}", aside.display())),
        Err(error) => left(id, None, &error.to_string()),
    }
}

/// Without a spec, a start and an end there is nothing that leads anywhere from here.
fn is_empty_shell(run: &RunDir) -> io::Result<bool> {
    for path in [run.spec_file(), run.started(), run.terminal()] {
        if !is_missing(&path)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The finisher's last line says how it went; its silence means that it was killed, and the next call goes on.
fn settle(begun: Begun, deadline: Instant) -> Reaped {
    let Begun { mut reaped, at_work } = begun;
    let Some(mut channel) = at_work else { return reaped };
    match channel.receive_within(deadline.saturating_duration_since(Instant::now())) {
        Ok(Received::Line(line)) if line == "done" => {
            // Its locks fall with its exit, which closes the channel: only then is the run over for everybody.
            drop(channel.receive_within(Duration::from_secs(1)));
            reaped.action = Action::Finished;
        }
        Ok(Received::Line(why)) => (reaped.action, reaped.reason) = (Action::Left, why),
        Ok(Received::Closed) => {
            (reaped.action, reaped.reason) = (Action::Left, "its finisher was killed".to_owned());
        }
        Ok(Received::Nothing) | Err(_) => {}
    }
    reaped
}

fn left(run: RunId, task: Option<TaskId>, why: &str) -> Begun {
    done(run, task, Action::Left, why)
}

fn done(run: RunId, task: Option<TaskId>, action: Action, reason: &str) -> Begun {
    Begun { reaped: Reaped { run, task, action, reason: reason.to_owned() }, at_work: None }
}

/// Renamed first: without its lock a directory must not look like a run.
pub fn remove(run: &RunDir) -> io::Result<()> {
    delete::delete_tree(&put_away(run)?)
}

fn put_away(run: &RunDir) -> io::Result<PathBuf> {
    let name = run.path().file_name().expect("a run's directory has a name").to_string_lossy();
    let old = run.path().with_file_name(format!(".old-{}", name.trim_start_matches(".new-")));
    fs_err::rename(run.path(), &old)?;
    Ok(old)
}

fn collect_unfinished(path: &Path) -> io::Result<()> {
    if fs_err::symlink_metadata(path)?.is_file() {
        return if is_old(path) { fs_err::remove_file(path) } else { Ok(()) };
    }
    let directory = RunDir::at(path);
    match directory.take()? {
        // Held until the rename is done, so that its maker, if it wakes up, finds another inode at the path.
        Take::Taken(_life) => remove(&directory),
        Take::Gone if is_old(path) => remove(&directory),
        Take::Gone | Take::Held | Take::NotOurs => Ok(()),
    }
}

fn is_old(path: &Path) -> bool {
    let age = fs_err::symlink_metadata(path).and_then(|metadata| metadata.modified());
    age.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > YOUNG))
}
