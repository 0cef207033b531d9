//! What is wrong with runs: open without a supervisor, or over and not tidied up. Looks only.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::directory::RunDir;
use super::listing;
use super::pool;
use super::query::{self, State};
use super::record;
use crate::model::config::Config;
use crate::model::failure::Result;
use crate::model::finding::{Check, Finding};
use crate::model::ids::{RunId, TaskId};
use crate::model::reduce::OpenRun;
use crate::model::terminal::kept_worktree;
use crate::storage::delete::TRASH_PREFIX;

const INTERRUPTED: &str = "is left of an interrupted deletion";
const SURPLUS: &str =
    "is too old or too much for the pool of worktrees, or left of a kill: lattice worker prune";

/// The open runs of one task.
pub fn of_task(ctx: &Context, task: &TaskId, open: &[OpenRun]) -> Vec<Finding> {
    let finding = |run: &RunId, worker: &str| {
        let message = match query::state_of(ctx, run) {
            State::Dead => {
                format!("the run {run} of {worker} is open and its supervisors are dead")
            }
            State::Unsupervised if RunDir::at(ctx.layout.run_dir(run)).exists() => {
                format!("the run {run} of {worker} is another user's: nothing can be said of it")
            }
            State::Unsupervised => format!(
                "the run {run} of {worker} is open and nobody on this machine supervises it; \
                 if it is not alive anywhere: lattice worker reap --force {run}"
            ),
            _ => return None,
        };
        Some(Finding::warning(Check::Run, message).of(task))
    };
    open.iter().filter_map(|open| finding(&open.run, &open.process_type)).collect()
}

/// Directories of runs and of worktrees that no open run accounts for.
pub fn of_directories(ctx: &Context, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let problem = |error: &dyn std::fmt::Display| Finding::warning(Check::Run, error.to_string());
    let mut in_use = Vec::new();
    match listing::list(&ctx.layout.runs()) {
        Ok(listing) => {
            for run in &listing.runs {
                findings.extend(of_run(ctx, run, &mut in_use));
            }
            findings.extend(garbage(&listing.retired, "deletion"));
            findings.extend(garbage(&listing.unfinished, "start"));
        }
        Err(error) => findings.push(problem(&error)),
    }
    for path in entries(&ctx.layout.runs(), ".bad-") {
        let message = format!("{} holds a run whose spec cannot be read", path.display());
        findings.push(Finding::warning(Check::Run, message));
    }
    for found in [worktrees(ctx, config, &in_use), untold(ctx)] {
        match found {
            Ok(found) => findings.extend(found),
            Err(failure) => findings.push(problem(&failure)),
        }
    }
    findings
}

/// Ends that wait for their log: a branch switch or a clean has taken it away, and nobody makes it anew.
fn untold(ctx: &Context) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for run in record::all(&ctx.layout)? {
        let Some(task) = record::task(&ctx.layout, &run) else { continue };
        if [ctx.layout.log(&task), ctx.layout.archived_log(&task)].iter().any(|log| log.exists()) {
            continue;
        }
        let path = record::path(&ctx.layout, &run);
        let message = format!(
            "the end of the run {run} is only in {}: the log of its task is gone",
            path.display()
        );
        findings.push(Finding::warning(Check::Run, message).of(&task));
    }
    Ok(findings)
}

fn of_run(ctx: &Context, run: &RunDir, in_use: &mut Vec<PathBuf>) -> Option<Finding> {
    let warn = |message| Some(Finding::warning(Check::Run, message));
    let spec = match run.spec() {
        Ok(spec) => spec,
        Err(failure) => return warn(failure.to_string()),
    };
    in_use.extend(spec.worktree_path);
    let id = run.run_id()?;
    if run.is_held() || is_open(ctx, &id, &spec.task_id) {
        return None;
    }
    warn(format!("the directory {} is of a run that is not open", run.path().display()))
}

fn is_open(ctx: &Context, run: &RunId, task: &TaskId) -> bool {
    let open = crate::storage::task::open_runs_of(&ctx.layout, task);
    open.is_ok_and(|open| open.iter().any(|open| open.run == *run))
}

/// What is held is no garbage yet: somebody is at work on it.
fn garbage(paths: &[PathBuf], what: &str) -> Vec<Finding> {
    let left = paths.iter().filter(|path| !RunDir::at(path.as_path()).is_held());
    let message = |path: &PathBuf| format!("{} is left of an interrupted {what}", path.display());
    left.map(|path| Finding::warning(Check::Leftover, message(path))).collect()
}

fn worktrees(ctx: &Context, config: &Config, in_use: &[PathBuf]) -> Result<Vec<Finding>> {
    let elsewhere = config.workers().worktree_root.map(|root| ctx.layout.root.join(root));
    let mut findings = Vec::new();
    for place in elsewhere.into_iter().chain([ctx.layout.worktrees()]) {
        let trash = entries(&place, TRASH_PREFIX).into_iter().map(|path| (path, INTERRUPTED));
        let surplus = pool::surplus(&place, &config.workers().pool())?;
        for (path, what) in trash.chain(surplus.into_iter().map(|path| (path, SURPLUS))) {
            let message = format!("{} {what}", path.display());
            findings.push(Finding::warning(Check::Leftover, message));
        }
    }
    let kept = kept(ctx)?;
    // Elsewhere than in our own directory only what a record names is known to be ours.
    let ours = entries(&ctx.layout.worktrees(), "").into_iter();
    let left =
        ours.filter(|path| !kept.iter().any(|(_, known, _)| known == path) && !is_marked(path));
    for path in left.filter(|path| !in_use.contains(path)) {
        let message = format!("the worktree {} belongs to no run that is known", path.display());
        findings.push(Finding::warning(Check::Worktree, message));
    }
    for (run, path, why) in kept {
        let message = format!("the worktree {} of the run {run} was kept: {why}", path.display());
        findings.push(Finding::warning(Check::Worktree, message));
    }
    Ok(findings)
}

/// Worktrees that records name as kept and that are still there.
fn kept(ctx: &Context) -> Result<Vec<(RunId, PathBuf, String)>> {
    let mut kept = Vec::new();
    for run in record::all(&ctx.layout)? {
        let terminal =
            record::read(&ctx.layout, &run).ok().flatten().and_then(|found| found.event());
        let Some(terminal) = terminal else { continue };
        let Some(path) = kept_worktree(&terminal).filter(|path| path.exists()) else { continue };
        let why = terminal.data().get("kept_because").and_then(|why| why.as_str());
        kept.push((run, path.to_owned(), why.unwrap_or("not saved").to_owned()));
    }
    Ok(kept)
}

/// By its name it is garbage, or the pool's.
fn is_marked(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(TRASH_PREFIX) || name.starts_with(pool::PREFIX)
}

fn entries(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let listed = fs_err::read_dir(dir).into_iter().flatten();
    let mut paths: Vec<PathBuf> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)))
        .collect();
    paths.sort();
    paths
}
