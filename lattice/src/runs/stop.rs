//! Asking a run to end. The request is a file, so that it is heard even if the signal behind it never comes.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::context::Context;
use super::directory::RunDir;
use super::{query, wait};
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::json;
use crate::model::run::Identity;
use crate::process::identity::{self, Presence};
use crate::process::tree;
use crate::storage::replace;

/// Beyond the grace: time for the end sequence.
const MARGIN: Duration = Duration::from_secs(5);

/// Ends a run and returns its terminal event. `now`: without the grace, and without a supervisor that is stuck.
pub fn stop(
    ctx: &Context,
    run: &RunId,
    task: &TaskId,
    now: bool,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<Event> {
    ask(ctx, run, task, now)?.wait(ctx, wanted)
}

/// All of them at once: each is asked before the first is waited for.
pub fn stop_all(
    ctx: &Context,
    runs: &[(RunId, TaskId)],
    now: bool,
    wanted: &mut dyn FnMut() -> bool,
) -> Vec<Result<Event>> {
    let asked: Vec<Result<Asked>> =
        runs.iter().map(|(run, task)| ask(ctx, run, task, now)).collect();
    asked.into_iter().map(|asked| asked?.wait(ctx, wanted)).collect()
}

/// A run that has been told to end, or has ended.
struct Asked {
    run: RunId,
    task: TaskId,
    grace: Duration,
    now: bool,
    ended: Option<Event>,
}

fn ask(ctx: &Context, run: &RunId, task: &TaskId, now: bool) -> Result<Asked> {
    wait::refuse_own(ctx, run)?;
    let ended = query::terminal(ctx, run, task)?;
    let directory = RunDir::at(ctx.layout.run_dir(run));
    let grace = directory.spec().map_or(MARGIN, |spec| Duration::from_millis(spec.grace_ms));
    let asked = Asked { run: run.clone(), task: task.clone(), grace, now, ended };
    if asked.ended.is_some() {
        return Ok(asked);
    }
    if !directory.exists() {
        let message = format!("{run} is open in the log, but no supervisor of this machine has it");
        return Err(Failure::new(Code::NotSupervised, message)
            .hint(format!("if it is over: lattice worker fail {run}")));
    }
    let requested = request(&directory, now);
    // On a full disk, which may be this run's doing, the signal alone must do.
    if !signal(&directory, Signal::SIGTERM) {
        requested?;
    }
    Ok(asked)
}

impl Asked {
    fn wait(self, ctx: &Context, wanted: &mut dyn FnMut() -> bool) -> Result<Event> {
        let Self { run, task, grace, now, ended } = self;
        if let Some(event) = ended {
            return Ok(event);
        }
        if !now {
            return wait::wait(ctx, &run, &task, Some(grace + MARGIN), wanted);
        }
        match wait::wait(ctx, &run, &task, Some(grace.min(MARGIN)), wanted) {
            Err(failure) if failure.code() == Code::StillRunning => {
                kill_shim(&RunDir::at(ctx.layout.run_dir(&run)));
                wait::wait(ctx, &run, &task, Some(grace + MARGIN), wanted)
            }
            answer => answer,
        }
    }
}

fn request(directory: &RunDir, now: bool) -> Result<()> {
    let request = json::compact(&serde_json::json!({"now": now}));
    match replace::replace(&directory.stop_request(), request.as_bytes()) {
        // It has ended since we looked: the wait finds its end.
        Err(_) if !directory.exists() => Ok(()),
        done => Ok(done?),
    }
}

/// One is told, the shim if it lives: a second signal would cut the grace short.
fn signal(directory: &RunDir, signal: Signal) -> bool {
    let Some(supervisors) = directory.supervisors() else { return false };
    let mut told = supervisors.shim.iter().chain([&supervisors.warden]);
    told.any(|identity| send_if_same(identity, signal))
}

/// The warden sees it die and ends the run itself.
fn kill_shim(directory: &RunDir) {
    if let Some(shim) = directory.supervisors().and_then(|supervisors| supervisors.shim) {
        send_if_same(&shim, Signal::SIGKILL);
    }
}

fn send_if_same(identity: &Identity, signal: Signal) -> bool {
    identity::presence(identity) == Presence::Alive && tree::send(identity.pid, signal).is_ok()
}
