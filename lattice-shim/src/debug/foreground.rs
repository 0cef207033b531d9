//! A run without a warden: this process checks, starts, supervises and ends it, and tells a person all about it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use lattice::model::event::{Event, PROCESS_COMPLETED};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::{RunId, TaskId};
use lattice::model::json;
use lattice::model::outcome::Reason;
use lattice::model::reduce::Snapshot;
use lattice::process::pipe;
use lattice::process::pump::LogPump;
use lattice::process::{inherit, spawn};
use lattice::runs::context::{COOKIE, Context, DEPTH};
use lattice::runs::end::sequence::Ending;
use lattice::runs::plan::Plan;
use lattice::runs::preflight::{self, Checked};
use lattice::runs::start::{self, Request};
use lattice::runs::{create, reap, store};
use lattice::storage::layout::Layout;
use lattice::storage::{definitions, gitfiles, owner, task};
use serde_json::{Map, json};

use super::options::{self, HELP, Options};
use crate::exits::{answer, say};
use crate::loops::Loop;
use crate::messages::Message;
use crate::seat::Seat;
use crate::{engine_env, renew, shim};

/// As other commands say it of a run that did not complete.
const DID_NOT_COMPLETE: u8 = 4;

#[inline(never)]
pub(crate) fn run(words: &[OsString]) -> Result<ExitCode> {
    let Some(options) = options::parse(words)? else {
        answer(HELP);
        return Ok(ExitCode::SUCCESS);
    };
    let ctx = context()?;
    // The handlers stand from here on: a Ctrl-C is heard, and never leaves a step half done.
    let mut turns = Loop::before(RunId::generate(), inherit::current_umask(), None)?;
    turns.asked_to_pause =
        || say("--- Ctrl-Z does nothing: a run is not paused; Ctrl-C stops it\n");
    inherit::write_from_background()?;
    // What cannot be ended now is for the next call; it is not in the way here.
    drop(reap::all(&ctx, reap::PATIENCE));
    let checked = check(&ctx, &options, &mut turns)?;
    if !turns.stops.is_empty() {
        return Err(Failure::new(Code::Interrupted, "stopped before anything was started"));
    }
    tell_plan(&ctx, &options, &checked);
    let (seat, output) = begin(&ctx, checked, &mut turns)?;
    turns.narrate = narrate;
    let (event, ending) = shim::from_start_to_end(&seat, turns, output, Ok(()))?;
    tell_end(&seat, &event);
    match ending {
        Ending::Whole(leftover) => seat.free(leftover),
        Ending::Left(failure) => return Err(failure),
    }
    Ok(exit_code(&event))
}

fn context() -> Result<Context> {
    let caller_env = engine_env::callers();
    let text = |name: &str| {
        let found = caller_env.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_os_str())
    };
    let cwd = std::env::current_dir()
        .map_err(|error| Failure::io("the current directory cannot be used", error))?;
    let layout = Layout::discover(&cwd, text("LATTICE_ROOT"))?;
    let own_run = text(COOKIE).and_then(OsStr::to_str).and_then(RunId::parse);
    let depth = text(DEPTH).and_then(OsStr::to_str).and_then(|depth| depth.parse().ok());
    Ok(Context {
        layout,
        shim: spawn::own_program(),
        own_run,
        depth: depth.unwrap_or_default(),
        caller_env,
    })
}

fn check(ctx: &Context, options: &Options, turns: &mut Loop) -> Result<Checked> {
    let found = definitions::at(&ctx.layout, &options.definition)?;
    let (task, snapshot) = match &options.task {
        Some(text) => real_task(ctx, text)?,
        None => placeholder(),
    };
    let request = Request {
        task,
        worker: found.name(),
        commit: None,
        timeout: options.timeout,
        actor: None,
        once: false,
        when_full: None,
        awaited: false,
    };
    let mut checked = preflight::check_found(ctx, &request, &found, snapshot, turns)?;
    let spec = &mut checked.spec;
    spec.record = options.record;
    spec.keep_worktree = options.keep_worktree;
    if options.record {
        start::refuse_if_open(ctx, spec)?;
    } else {
        // It has been on the terminal; nothing is to be left of it.
        spec.log_path = format!("runs/{}/log", spec.run_id).into();
    }
    Ok(checked)
}

fn real_task(ctx: &Context, text: &str) -> Result<(TaskId, Snapshot)> {
    let task = task::resolve_task(&ctx.layout, text)?;
    let (_, snapshot, is_archived) = task::read_task(&ctx.layout, &task)?;
    if is_archived {
        return Err(preflight::archived(snapshot.display_id()));
    }
    Ok((task, snapshot))
}

/// As much of a task as a spec needs.
fn placeholder() -> (TaskId, Snapshot) {
    let task = TaskId::generate();
    let mut map = Map::new();
    map.insert("id".to_owned(), json!(task));
    map.insert("title".to_owned(), json!("A placeholder for a task"));
    (task, Snapshot(map))
}

/// A kill behind the first step leaves a directory whose lock is free: that is all that a reaper needs.
fn begin(ctx: &Context, checked: Checked, turns: &mut Loop) -> Result<(Seat, OwnedFd)> {
    let mut spec = checked.spec;
    let layout = ctx.layout.clone();
    gitfiles::ensure(&layout)?;
    spec.store = store::id(&layout)?;
    let (run, life) = create::directory(&layout, &spec, false)?;
    if spec.record {
        start::record_start(ctx, &run, &spec, false).inspect_err(|_| drop(reap::remove(&run)))?;
        owner::make_dirs(&layout.worker_logs(), 0o700)?;
    }
    inherit::restrict_own_files();
    inherit::adopt_orphans(true)?;
    std::env::set_current_dir(&layout.dir).map_err(|error| {
        Failure::io(format_args!("failed to enter `{}`", layout.dir.display()), error)
    })?;
    let id = spec.run_id.clone();
    turns.belong_to(&spec);
    let spec = renew::now(spec);
    let seat = Seat { id, run, spec, layout, life, foreground: true };
    seat.publish(false)?;
    let (read, write) = pipe::create()?;
    let terminal = std::io::stdout().as_fd().try_clone_to_owned()?;
    turns.log =
        Some(LogPump::open(read, &seat.log(), seat.spec.log_limit)?.echoing(terminal.into()));
    Ok((seat, write))
}

fn tell_plan(ctx: &Context, options: &Options, checked: &Checked) {
    let spec = checked.spec.clone();
    let task = match (&options.task, &spec.short_id) {
        (None, _) => "none, a placeholder stands for it".to_owned(),
        (Some(_), Some(short)) => format!("{short} ({})", spec.task_id),
        (Some(_), None) => spec.task_id.to_string(),
    };
    let plan = Plan::new(spec, &ctx.layout, &ctx.caller_env);
    say(&format!("Task:        {task}\n{plan}\n"));
    for note in &checked.notes {
        say(&format!("Note: {note}\n"));
    }
}

fn narrate(message: &Message) {
    let words = match message {
        Message::Engine { setup: true, pid } => format!("setup, process {pid}"),
        Message::Engine { setup: false, pid } => format!("worker, process {pid}; Ctrl-C stops it"),
        Message::Ending { reason: Reason::Stopped, .. } => {
            "stopping; Ctrl-C again kills".to_owned()
        }
        Message::Ending { reason: Reason::TimedOut, .. } => "its time is over".to_owned(),
        Message::Ending { reason: Reason::Idle, .. } => "it was silent for too long".to_owned(),
        Message::Ending {
            reason: Reason::MemoryLimit | Reason::ProcessLimit | Reason::CpuLimit,
            ..
        } => "it has used up what its definition allows".to_owned(),
        Message::Patience { .. }
        | Message::Ending { .. }
        | Message::Exited { .. }
        | Message::Opened
        | Message::Over
        | Message::Beside { .. }
        | Message::Dirty { .. }
        | Message::Lost { .. } => return,
    };
    say(&format!("--- {words}\n"));
}

fn tell_end(seat: &Seat, event: &Event) {
    let head = if seat.spec.record { "recorded" } else { "not recorded, but would have been" };
    say(&format!("--- {head}:\n{}", json::pretty(&event.to_value())));
    let report = seat.layout.worker_logs().join(format!("{}.report", seat.id));
    if report.is_file() {
        say(&format!("--- its report: {}\n", report.display()));
    }
    let text = |key: &str| event.data().get(key).and_then(|value| value.as_str());
    if let Some(name) = text("preserved_ref") {
        say(&format!("--- its work: git diff {} {name}\n", seat.spec.commit_sha));
    }
    if let Some(path) = text("kept_worktree") {
        say(&format!(
            "--- its worktree: {path}\n    when you are done: git worktree remove --force --force {path}\n"
        ));
    }
}

fn exit_code(event: &Event) -> ExitCode {
    if event.kind() == PROCESS_COMPLETED {
        return ExitCode::SUCCESS;
    }
    let interrupted = event.data().get("ended_by_signal").is_some_and(|name| name == "SIGINT");
    ExitCode::from(if interrupted { Code::Interrupted.exit_status() } else { DID_NOT_COMPLETE })
}
