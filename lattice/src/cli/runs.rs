//! What every command that has to do with runs needs: the context of a run, and the end of dead ones.

use std::path::PathBuf;
use std::time::Duration;

use lattice::model::failure::Result;
use lattice::model::ids::TaskId;
use lattice::model::reduce::Snapshot;
use lattice::runs::context::{Context, DEPTH};
use lattice::runs::reap::{self, Action, Reaped};
use lattice::storage::layout::Layout;
use lattice::storage::task::{list_kept, read_open_runs};

use super::caller::Caller;
use super::progress::Progress;
use super::session::Session;

const SHIM: &str = "lattice-shim";

pub(crate) fn context(session: &Session, layout: &Layout) -> Context {
    let caller = &session.caller;
    Context {
        layout: layout.clone(),
        shim: find_shim(caller),
        caller_env: caller.env().to_vec(),
        own_run: caller.own_run(),
        depth: caller.text(DEPTH).and_then(|depth| depth.parse().ok()).unwrap_or(0),
    }
}

/// The supervisor's program: beside our own, else as `LATTICE_SHIM` says, else by PATH. A name without a
/// directory is left where nothing was found, so that starting it tells what is missing.
fn find_shim(caller: &Caller) -> PathBuf {
    let beside = std::env::current_exe().ok().map(|exe| exe.with_file_name(SHIM));
    if let Some(beside) = beside.filter(|path| path.is_file()) {
        return beside;
    }
    if let Some(named) = caller.var("LATTICE_SHIM").filter(|name| !name.is_empty()) {
        return named.into();
    }
    let path = caller.var("PATH").unwrap_or_default();
    let mut on_path = std::env::split_paths(path).map(|dir| dir.join(SHIM));
    on_path.find(|path| path.is_absolute() && path.is_file()).unwrap_or_else(|| PathBuf::from(SHIM))
}

/// Ends dead runs before run state is shown. What cannot be ended yet is one line; it never stops a command.
pub(crate) fn reap_dead(session: &Session, ctx: &Context) {
    reap_among(session, ctx, &read_open_runs(&ctx.layout));
}

/// The same for a command that knows which tasks may have open runs, or shows no others. Whether there was one to end.
pub(crate) fn reap_among(session: &Session, ctx: &Context, tasks: &[TaskId]) -> bool {
    match reap::among(ctx, tasks, reap::PATIENCE) {
        Ok(reaped) => {
            tell_unfinished(session, &reaped);
            !reaped.is_empty()
        }
        Err(failure) => {
            session.out.warn(format_args!("dead runs could not be ended: {failure}"));
            false
        }
    }
}

/// What `keep` makes of the tasks with these fields, `true` for archived ones, once dead runs among them are ended. Mostly
/// there are none, and then it is enough to have read the tasks once. Among the fields there is `active_processes`.
pub(crate) fn list_reaped<T: Send>(
    session: &Session,
    layout: &Layout,
    include_archived: bool,
    keys: Option<&[&str]>,
    keep: impl Fn(Snapshot, bool) -> Option<T> + Sync,
) -> Vec<T> {
    let look = |task: Snapshot, archived| {
        let is_open = task.get("active_processes").is_some();
        (is_open.then(|| task.task_id()).flatten(), keep(task, archived))
    };
    let read = || list_kept(layout, include_archived, keys, look);
    let (mut tasks, mut unreadable) = read();
    let open: Vec<TaskId> = tasks.iter_mut().filter_map(|(open, _)| open.take()).collect();
    if reap_among(session, &context(session, layout), &open) {
        (tasks, unreadable) = read();
    }
    session.out.warn_all(unreadable);
    tasks.into_iter().filter_map(|(_, kept)| kept).collect()
}

/// The same for a command that needs the runs ended before it goes on, but not at any price.
pub(crate) fn reap_first(
    session: &Session,
    ctx: &Context,
    reap: impl FnOnce(&Context, Duration) -> Result<Vec<Reaped>>,
) {
    let progress = Progress::new(session, "ending dead runs");
    let reaped = reap(ctx, Duration::from_secs(30));
    drop(progress);
    match reaped {
        Ok(reaped) => tell_unfinished(session, &reaped),
        Err(failure) => session.out.warn(format_args!("dead runs could not be ended: {failure}")),
    }
}

fn tell_unfinished(session: &Session, reaped: &[Reaped]) {
    let open = |reaped: &&Reaped| matches!(reaped.action, Action::Finishing | Action::Left);
    let names: Vec<&str> = reaped.iter().filter(open).map(|reaped| reaped.run.as_str()).collect();
    if !names.is_empty() {
        session.out.warn(format_args!(
            "not ended yet: {} (lattice worker reap says why)",
            names.join(", ")
        ));
    }
}

/// How long a command is patient whose own purpose is to end runs.
pub(crate) const PATIENT: Duration = Duration::from_mins(15);
