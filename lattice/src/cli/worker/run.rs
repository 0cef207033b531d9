//! `lattice worker run`

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value, json};

use lattice::model::command_line::quoted;
use lattice::model::config::WhenFull;
use lattice::model::failure::Result;
use lattice::process::bounded::Bounded;
use lattice::runs::context::Context;
use lattice::runs::plan::Plan;
use lattice::runs::query::State;
use lattice::runs::start::{Request, Started, plan, start};
use lattice::storage::task::resolve_task;

use super::duration;
use super::tail::Tail;
use super::watch::{Watch, verdict, watch};
use crate::cli::identity::checked_actor;
use crate::cli::out::Form;
use crate::cli::progress::Progress;
use crate::cli::runs::context;
use crate::cli::session::Session;
use crate::render;

/// Start a worker on a task
///
/// Returns as soon as the worker is started and supervised; it goes on by itself, in its own worktree if its
/// definition says so, until it ends or its time is over. Its end is an event of the task. One worker runs once
/// on one task at a time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker run Review LAT-42
  lattice worker run Review LAT-42 --commit HEAD~3 --timeout 45m
  lattice worker run Review LAT-42 --follow       show its output until it ends
  lattice worker run Review LAT-42 --wait && echo fine
  lattice worker run Review LAT-42 --when-full wait
  lattice worker run Review LAT-42 --dry-run      its command, place, limits, environment

With --wait or --follow the exit status is 0 if the run completed and 4 if it did not.
Ctrl-C only stops the watching.")]
pub(crate) struct RunArgs {
    /// The worker's name, in any case
    name: String,
    /// Short ID (LAT-42) or full ID of the task
    task: String,
    /// What to work on; anything that git understands [default: HEAD]
    // A strange revision is git's to refuse, also one that looks like an option.
    #[arg(long, value_name = "REV", allow_hyphen_values = true)]
    commit: Option<String>,
    /// Its limit instead of the definition's: 90s, 10m, 2h, or a number of minutes
    #[arg(long, value_name = "DURATION", value_parser = duration::minutes)]
    timeout: Option<Duration>,
    /// Who works, instead of the definition's actor
    #[arg(long)]
    actor: Option<String>,
    /// Refuse it if the worker has had this commit of the task before, whatever became of that run: for hooks
    #[arg(long)]
    once: bool,
    /// What to do while workers.max_parallel runs are at work: refuse, or wait for one to end. It begins then, and
    /// waits by itself: this command does not [default: workers.when_full, else refuse]
    #[arg(long, value_name = "CHOICE", value_parser = when_full())]
    when_full: Option<WhenFull>,
    /// Wait for its end
    #[arg(long, conflicts_with = "follow")]
    wait: bool,
    /// Show its output until its end; with --json or --quiet, only wait
    #[arg(long)]
    follow: bool,
    /// Only tell what would happen: nothing is started, and nothing is changed
    #[arg(long, conflicts_with_all = ["wait", "follow"])]
    dry_run: bool,
}

/// The names of [`WhenFull`], for completions too.
pub(super) fn when_full() -> impl TypedValueParser<Value = WhenFull> {
    let names = WhenFull::ALL.map(WhenFull::name);
    PossibleValuesParser::new(names).map(|name| WhenFull::parse(&name).unwrap_or_default())
}

pub(crate) fn run(session: &Session, args: &RunArgs) -> Result<()> {
    let layout = session.layout()?;
    let ctx = context(session, &layout);
    let request = Request {
        task: resolve_task(&layout, &args.task)?,
        worker: args.name.clone(),
        commit: args.commit.clone(),
        timeout: args.timeout,
        actor: args.actor.as_deref().map(checked_actor).transpose()?,
        once: args.once,
        when_full: args.when_full,
        awaited: args.wait || args.follow,
    };
    if args.dry_run {
        let (plan, notes) = plan(&ctx, &request, &mut Bounded)?;
        session.out.warn_all(notes);
        return session.out.answer(plan_as_json(&plan), quoted(&plan.spec.argv), &plan);
    }
    let progress = Progress::new(session, format!("starting {} on {}", args.name, args.task));
    let started = start(&ctx, &request, &mut Bounded)?;
    drop(progress);
    for note in &started.notes {
        session.out.warn(note);
    }
    tell(session, &ctx, &started, (args.wait, args.follow))
}

/// Answers what was started, or waits for its end.
pub(super) fn tell(
    session: &Session,
    ctx: &Context,
    started: &Started,
    (wait, follow): (bool, bool),
) -> Result<()> {
    if wait || follow {
        return to_the_end(session, ctx, started, follow);
    }
    let data = Value::Object(as_json(started));
    session.out.answer(data, &started.run, render::worker::started(started))
}

/// Waits for the end of what was started, and shows its output meanwhile if that is wanted.
fn to_the_end(session: &Session, ctx: &Context, started: &Started, follow: bool) -> Result<()> {
    let form = session.out.form();
    match form {
        Form::Human => session.out.line(render::worker::started(started))?,
        Form::Quiet => session.out.line(&started.run)?,
        Form::Json => {}
    }
    let follows = follow && form == Form::Human;
    let tail = follows.then(|| Tail::open(started.log_path.clone(), None)).transpose()?;
    let (run, task) = (&started.run, &started.task);
    let event = watch(session, ctx, Watch { run, task, timeout: None, tail })?;
    let mut data = as_json(started);
    data.insert("outcome".to_owned(), event.to_value());
    let data = verdict(session, &event, Value::Object(data))?;
    match form {
        Form::Json => session.out.data(data),
        Form::Quiet => Ok(()),
        Form::Human if follows => {
            session.out.note(render::worker::outcome(&event));
            Ok(())
        }
        Form::Human => session.out.line(render::worker::outcome(&event)),
    }
}

fn as_json(started: &Started) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("worker".to_owned(), started.worker.as_str().into());
    map.insert("task_id".to_owned(), started.task.as_str().into());
    map.insert("started_event_id".to_owned(), started.run.as_str().into());
    map.insert("commit_sha".to_owned(), started.commit_sha.as_str().into());
    map.insert("pid".to_owned(), json!(started.warden_pid));
    map.insert("log_path".to_owned(), started.log_path.display().to_string().into());
    if started.waits {
        map.insert("state".to_owned(), State::Waiting.as_str().into());
    }
    if let Some(path) = &started.worktree_path {
        map.insert("worktree_path".to_owned(), path.display().to_string().into());
    }
    map
}

/// Variables by name only.
fn plan_as_json(plan: &Plan) -> Value {
    let spec = &plan.spec;
    let seconds = |milliseconds: u64| Duration::from_millis(milliseconds).as_secs_f64();
    let dropped = |(name, why): &(String, &str)| json!({"name": name, "why": why});
    let mut data = json!({
        "dry_run": true,
        "worker": spec.worker,
        "task_id": spec.task_id,
        "definition": spec.definition,
        "actor": spec.actor,
        "commit_sha": spec.commit_sha,
        "argv": spec.argv,
        "cwd": spec.cwd,
        "worktree_path": spec.worktree_path,
        "log_path": plan.log_path,
        "setup": spec.setup,
        "copy": spec.copy,
        "include": spec.include,
        "link": spec.link,
        "report": spec.report,
        "limits": {
            "timeout_seconds": seconds(spec.timeout_ms),
            "idle_seconds": spec.idle_ms.map(seconds),
            "grace_seconds": seconds(spec.grace_ms),
            "setup_timeout_seconds": seconds(spec.setup_timeout_ms),
            "memory_bytes": spec.memory_limit_bytes,
            "processes": spec.limits.processes,
            "cpu_seconds": spec.limits.cpu_ms.map(seconds),
            "open_files": spec.limits.open_files,
            "file_size_bytes": spec.limits.file_size_bytes,
        },
        "nice": spec.nice,
        "environment": {
            "inherited": plan.environment.inherited,
            "dropped": plan.environment.dropped.iter().map(dropped).collect::<Vec<_>>(),
            "added": plan.environment.added,
        },
    });
    if let Some(slots) = &plan.slots {
        data["limits"]["max_parallel"] = json!({
            "total": slots.total,
            "engine": slots.of_engine,
            "when_full": slots.when_full.name(),
        });
    }
    if let Some(sandbox) = &spec.sandbox {
        data["sandbox"] = json!({"kind": sandbox.as_str(), "write": sandbox.write});
    }
    data
}
