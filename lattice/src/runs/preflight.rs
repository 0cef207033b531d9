//! Everything that can be refused before a run exists: no event, no file, no process has been made yet.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use super::engine;
use super::handover::Caller;
use super::place::{self, Place, is_below_project};
use super::sandbox;
use super::slots::Slots;
use super::specify::{self, Parts};
use super::start::{Request, variable};
use super::{allowance, store, writable};
use crate::model::actor;
use crate::model::definition::Definition;
use crate::model::engine::{argv, preset};
use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;
use crate::model::run::Spec;
use crate::process::helper::Helpers;
use crate::storage::definitions::{self, Found};
use crate::storage::task;

/// A worker may start a worker, whose hook may start one more; deeper it is a fork bomb.
const DEPTH_LIMIT: u32 = 2;

/// `timeout_minutes` allows as much: a week.
pub(super) const LONGEST: Duration = Duration::from_hours(7 * 24);

/// A run that may be started, and what its caller should know of it.
pub struct Checked {
    pub spec: Spec,
    pub notes: Vec<String>,
    /// See [`Request::once`].
    pub once: bool,
    pub slots: Slots,
    pub caller: Caller,
}

/// A definition of `workers/`, on a task that is there.
pub fn check(ctx: &Context, request: &Request, helpers: &mut dyn Helpers) -> Result<Checked> {
    let found = definitions::by_name(&ctx.layout, &request.worker)?;
    let (_, snapshot, is_archived) = task::read_task(&ctx.layout, &request.task)?;
    if is_archived {
        return Err(archived(snapshot.display_id()));
    }
    check_found(ctx, request, &found, snapshot, helpers)
}

/// Any definition, and any task: only its snapshot is looked at.
pub fn check_found(
    ctx: &Context,
    request: &Request,
    found: &Found,
    snapshot: Snapshot,
    helpers: &mut dyn Helpers,
) -> Result<Checked> {
    refuse_deep(ctx)?;
    refuse_odd_timeout(request)?;
    let definition = valid(found)?;
    let actor = request.actor.clone().unwrap_or_else(|| definition.actor.clone());
    actor::validate(&actor)?;
    let config = task::read_config(&ctx.layout)?;
    let place = place::find(ctx, request.commit.as_deref(), &definition, helpers)?;
    let git = place.repository.as_ref().filter(|_| definition.worktree);
    sandbox::refuse(ctx, git.map(|repository| repository.common_dir.as_path()))?;
    let preset = preset::preset(definition.engine);
    find_program(ctx, argv::program(preset, &definition), &place)?;
    engine::refuse_surroundings(ctx, preset, &definition)?;
    let mut notes = config.worker_warnings();
    let slots = Slots::of(&config, definition.engine);
    let slots = slots.chosen(ctx, request.when_full, request.awaited);
    let sandbox = writable::wanted(ctx, &definition, &mut notes)?;
    let template = engine::read_prompt(ctx, &definition, &place, helpers, &mut notes)?;
    let include = place::included(ctx, &definition, helpers)?;
    let parts = Parts { found, definition, snapshot, config, place, actor, sandbox, include };
    let spec = specify::spec(ctx, request, parts, template.as_deref())?;
    notes.extend(allowance::notes(&spec.limits));
    if store::is_shared(&spec.file_system) {
        let note = format!(
            "{} is on {}, where a lock proves little: if this machine dies, end the run with `lattice worker reap --force {}`",
            ctx.layout.dir.display(),
            spec.file_system,
            spec.run_id
        );
        notes.push(note);
    }
    let caller = if request.awaited { Caller::Stays } else { Caller::Leaves };
    Ok(Checked { spec, notes, once: request.once, slots, caller })
}

pub(super) fn refuse_deep(ctx: &Context) -> Result<()> {
    if ctx.depth < DEPTH_LIMIT {
        return Ok(());
    }
    let message = format!(
        "this is already {} runs deep, and a run may not start another one there",
        ctx.depth
    );
    Err(Failure::new(Code::NestingLimit, message)
        .hint("start it from outside, or from a hook of the task"))
}

fn refuse_odd_timeout(request: &Request) -> Result<()> {
    match request.timeout {
        Some(limit) if limit.is_zero() || limit > LONGEST => {
            let message = "a run's limit is more than nothing and at most 7 days";
            Err(Failure::new(Code::ValidationError, message).hint("--timeout 90s, 10m or 2h"))
        }
        _ => Ok(()),
    }
}

pub fn archived(task: &str) -> Failure {
    Failure::new(
        Code::NotFound,
        format!("{task} is archived, and no run starts on an archived task"),
    )
    .hint("take it out of the archive first, or run the worker on another task")
}

/// A definition that a run may be made of.
pub fn valid(found: &Found) -> Result<Definition> {
    match &found.result {
        Ok(definition) => Ok(definition.clone()),
        Err(problems) => {
            let list: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}: {}", problem.key, problem.message))
                .collect();
            let message =
                format!("{} is not a valid definition: {}", found.path.display(), list.join("; "));
            Err(Failure::new(Code::InvalidDefinition, message).hint("lattice worker list"))
        }
    }
}

/// The spawn would fail later with the same news, but then a run would have begun.
pub(super) fn find_program(ctx: &Context, program: &str, place: &Place) -> Result<()> {
    let is_committed = is_below_project(Path::new(program)) && place.repository.is_some();
    if is_committed || program_path(ctx, program).is_some() {
        return Ok(());
    }
    let message = format!("the program `{program}` was not found, or is not executable");
    Err(Failure::new(Code::SpawnError, message)
        .hint("install it, put it on PATH, or correct `command` in the definition"))
}

/// Where a program is that is no file of a commit.
pub(super) fn program_path(ctx: &Context, program: &str) -> Option<PathBuf> {
    let path = Path::new(program);
    if program.contains('/') {
        return Some(ctx.layout.root.join(path)).filter(|path| is_executable(path));
    }
    let search = variable(ctx, "PATH")
        .unwrap_or_else(|| OsStr::new("/usr/local/bin:/usr/bin:/bin").to_owned());
    std::env::split_paths(&search)
        .map(|directory| directory.join(path))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs_err::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
