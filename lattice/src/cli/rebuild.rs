//! `lattice rebuild`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::runs::reap;
use lattice::storage::layout::Layout;
use lattice::storage::rebuild::{rebuild_all, rebuild_task};
use lattice::storage::task::{read_task_log, resolve_task};

use super::out::Form;
use super::progress::Progress;
use super::runs::{context, reap_first};
use super::session::Session;
use crate::render::plural::count;

/// Make snapshots again from the event logs
///
/// The logs hold the truth; everything else is a copy. With --all also the log of all life cycles and the index
/// of short IDs. A task that cannot be rebuilt is named and does not stop the others. Dead runs are ended first.
#[derive(Debug, Args)]
#[command(override_usage = "lattice rebuild [OPTIONS] <TASK|--all>")]
#[command(after_help = "\
Examples:
  lattice rebuild LAT-42
  lattice rebuild --all")]
pub(crate) struct RebuildArgs {
    /// Short ID (LAT-42) or full ID
    #[arg(value_name = "TASK", required_unless_present = "all", conflicts_with = "all")]
    task: Option<String>,
    /// All tasks, archived ones too
    #[arg(long)]
    all: bool,
}

pub(crate) fn rebuild(session: &Session, args: &RebuildArgs) -> Result<()> {
    let layout = session.layout()?;
    match &args.task {
        Some(text) => single(session, &layout, text),
        None => all(session, &layout),
    }
}

fn single(session: &Session, layout: &Layout, text: &str) -> Result<()> {
    let task = resolve_task(layout, text)?;
    let ctx = context(session, layout);
    reap_first(session, &ctx, |ctx, patience| reap::of_task(ctx, &task, patience));
    rebuild_task(layout, &task)?;
    session.out.warn_all(read_task_log(layout, &task)?.warning.into_iter().collect());
    let data = json!({"global_log_rebuilt": false, "rebuilt_tasks": [task.as_str()]});
    session.out.answer(data, &task, format_args!("Rebuilt {task}"))
}

fn all(session: &Session, layout: &Layout) -> Result<()> {
    reap_first(session, &context(session, layout), reap::thoroughly);
    let progress = Progress::new(session, "rebuilding all tasks");
    let mut done = Done::default();
    let mut warnings = Vec::new();
    let is_named = session.out.form() != Form::Human;
    let unreadable = rebuild_all(layout, |task, result| match result {
        Ok(warning) => {
            done.count += 1;
            done.named.extend(is_named.then(|| task.clone()));
            warnings.extend(warning);
        }
        Err(failure) => done.failed.push((task.clone(), failure)),
    })?;
    drop(progress);
    session.out.warn_all(unreadable);
    session.out.warn_all(warnings);
    // As Python tells them: the active ones first.
    let order = |task: &TaskId| (!layout.log(task).exists(), task.clone());
    done.named.sort_by_cached_key(order);
    done.failed.sort_by_cached_key(|(task, _)| order(task));
    answer(session, &done)
}

/// People are told how many there were, so that nobody has to remember which.
#[derive(Default)]
struct Done {
    count: usize,
    named: Vec<TaskId>,
    failed: Vec<(TaskId, Failure)>,
}

fn answer(session: &Session, Done { count: number, named: done, failed }: &Done) -> Result<()> {
    let out = &session.out;
    let refused =
        |(task, why): &(TaskId, Failure)| json!({"task_id": task, "error": why.message()});
    let mut data = json!({
        "global_log_rebuilt": true, "rebuilt_resources": [],
        "rebuilt_tasks": done.iter().map(TaskId::as_str).collect::<Vec<_>>(),
    });
    if !failed.is_empty() {
        data["failed"] = failed.iter().map(refused).collect::<Vec<Value>>().into();
    }
    match out.form() {
        Form::Json if failed.is_empty() => out.data(data)?,
        Form::Json => out.keep(data),
        Form::Quiet => done.iter().try_for_each(|task| out.line(task))?,
        Form::Human => {
            let tasks = count(*number, "task");
            out.line(format_args!("Rebuilt {tasks}, regenerated lifecycle log"))?;
        }
    }
    let Some((task, why)) = failed.first() else { return Ok(()) };
    if !out.is_json() {
        for (task, why) in failed {
            out.note(format_args!("  Failed {task}: {why}"));
        }
    }
    let message = match failed.len() {
        1 => format!("{task} could not be rebuilt: {why}"),
        several => format!("{several} tasks could not be rebuilt"),
    };
    Err(Failure::new(Code::RebuildError, message).hint(why.hint_text().unwrap_or("lattice doctor")))
}
