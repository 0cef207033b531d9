//! Words about a run's end: into its box while it is supervised, into the log where nobody supervises it.
//!
//! The box is the file `reported`, which is published once (link(2)) and never replaced. The end sequence begins
//! by publishing an empty one, so words are either taken up by the end or told that they come too late.

use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::context::Context;
use super::directory::RunDir;
use super::{lost, query, reap, secrets, untrusted};
use crate::model::event::{Event, PROCESS_COMPLETED, PROCESS_STARTED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::reduce;
use crate::model::terminal;
use crate::model::time;
use crate::model::words::{LONGEST, Outcome, Words};
use crate::storage::replace;
use crate::storage::task::{self, TaskTxn};

/// With escapes and keys.
const BOX_LIMIT: u64 = 16 * 1024;

/// A dead run is ended before anything is said of it.
const REAP_WITHIN: Duration = Duration::from_secs(10);

/// How long the end is waited for that has closed the box.
const END_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What became of the words.
#[derive(Debug)]
pub struct Told {
    /// The end of the run, if it is written.
    pub event: Option<Event>,
    /// Whether these words are on record now and were not before.
    pub recorded: bool,
    /// Whether this call has appended the event.
    pub appended: bool,
}

/// The words in a run's box. Nothing in it, or nothing that can be read, are no words.
pub fn read(run: &RunDir) -> Option<Words> {
    let text = untrusted::read(&run.reported(), BOX_LIMIT).ok()??;
    // Closed: most boxes are.
    if text.is_empty() { None } else { Words::parse(&text) }
}

/// Says how a run ended or will have ended. Saying the same again is success, the opposite is a conflict.
pub fn tell(ctx: &Context, run: &RunId, task: &TaskId, words: &Words) -> Result<Told> {
    let left =
        reap::one(ctx, run, REAP_WITHIN).filter(|reaped| reaped.action == reap::Action::Left);
    if let Some(event) = query::terminal(ctx, run, task)? {
        return agree(event, words);
    }
    if let Some(left) = left {
        let message = format!("{run} cannot be ended from here: {}", left.reason);
        return Err(Failure::new(Code::NotSupervised, message)
            .hint(format!("lattice worker reap --force {run}")));
    }
    let directory = RunDir::at(ctx.layout.run_dir(run));
    if directory.exists() {
        return put_into_box(ctx, &directory, run, task, words);
    }
    end_unsupervised(ctx, run, task, words)
}

fn put_into_box(
    ctx: &Context,
    directory: &RunDir,
    run: &RunId,
    task: &TaskId,
    words: &Words,
) -> Result<Told> {
    refuse_long(words)?;
    // The caller has hidden what its environment holds.
    let given = directory.spec().map(|spec| secrets::of_project(&spec)).unwrap_or_default();
    let words = &words.clone().masked(&given);
    let bytes = serde_json::to_vec(words).expect("words have only string keys");
    match replace::publish_exclusive(&directory.reported(), &bytes) {
        Ok(()) => return Ok(Told { event: None, recorded: true, appended: false }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // It has ended since we looked.
        Err(_) if !directory.exists() => {}
        Err(error) => return Err(error.into()),
    }
    match read(directory) {
        Some(earlier) if earlier.outcome == words.outcome => {
            Ok(Told { event: None, recorded: false, appended: false })
        }
        Some(earlier) => {
            let message = format!("{run} was reported as {} already", earlier.outcome.as_str());
            Err(conflict(run.as_str(), message))
        }
        None => after_its_end(ctx, run, task, words),
    }
}

/// The record has 64 KiB, and the report has no such limit.
fn refuse_long(words: &Words) -> Result<()> {
    match &words.text {
        Some(text) if text.len() > LONGEST => {
            let message =
                format!("the text has {} bytes, and the end of a run holds {LONGEST}", text.len());
            Err(Failure::new(Code::ValidationError, message).hint(
                "write it to the file that $LATTICE_REPORT names, and say the outcome in a sentence",
            ))
        }
        _ => Ok(()),
    }
}

/// The box is closed: the end is about to be published.
fn after_its_end(ctx: &Context, run: &RunId, task: &TaskId, words: &Words) -> Result<Told> {
    let deadline = Instant::now() + END_WITHIN;
    loop {
        if let Some(event) = query::terminal(ctx, run, task)? {
            return agree(event, words);
        }
        if Instant::now() > deadline {
            let message = format!("{run} is ending, and its end is not written yet");
            return Err(Failure::new(Code::StillRunning, message)
                .hint(format!("lattice worker wait {run}")));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn agree(event: Event, words: &Words) -> Result<Told> {
    let ended =
        if event.kind() == PROCESS_COMPLETED { Outcome::Completed } else { Outcome::Failed };
    if ended == words.outcome {
        return Ok(Told { event: Some(event), recorded: false, appended: false });
    }
    let run = event.ended_run().unwrap_or_default();
    let message = format!("{run} has ended as {} already (event: {})", ended.as_str(), event.id());
    Err(conflict(run, message).detail("event_id", event.id()))
}

fn conflict(run: &str, message: String) -> Failure {
    Failure::new(Code::Conflict, message)
        .hint(format!("lattice worker show {run}    (tells what is known of it)"))
}

/// Another machine's run, or the Python tool's: only a person, or the run itself, knows how it ended.
fn end_unsupervised(ctx: &Context, run: &RunId, task: &TaskId, words: &Words) -> Result<Told> {
    refuse_living(ctx, run, task)?;
    let mut txn = TaskTxn::begin(&ctx.layout, task)?;
    if let Some(event) = reduce::terminal_of(txn.events(), run) {
        return agree(event.clone(), words);
    }
    let start = start_of(txn.events(), run).ok_or_else(|| query::not_found(run.as_str()))?;
    let event = terminal::told(task, start, words, time::timestamp(SystemTime::now()));
    txn.append(&event)?;
    // A snapshot is a cache: the next writer replaces it.
    drop(txn.write_snapshot());
    Ok(Told { event: Some(event), recorded: true, appended: true })
}

/// Somebody has deleted the directory under a run of ours: its supervisors will write the end, and the truth.
fn refuse_living(ctx: &Context, run: &RunId, task: &TaskId) -> Result<()> {
    let (events, _, _) = task::read_task(&ctx.layout, task)?;
    let is_ours = start_of(&events, run).is_some_and(|start| start.data().contains_key("store"));
    if !is_ours || !lost::is_alive(ctx, run) {
        return Ok(());
    }
    let message =
        format!("{run} is alive, and its directory is gone, so that nothing can be told to it");
    Err(Failure::new(Code::StillRunning, message)
        .hint(format!("its own end is recorded: lattice worker wait {run}")))
}

fn start_of<'a>(events: &'a [Event], run: &RunId) -> Option<&'a Event> {
    events.iter().find(|event| event.kind() == PROCESS_STARTED && event.id() == run.as_str())
}

/// The run that is meant by a run, a task, both (as the Python tool has it) or, inside a run, by nothing.
pub fn find(
    ctx: &Context,
    own: Option<&RunId>,
    target: Option<&str>,
    event: Option<&str>,
) -> Result<(RunId, TaskId)> {
    let Some(target) = target else {
        let own = own.ok_or_else(which)?;
        return Ok((own.clone(), query::task_of(ctx, own)?));
    };
    let task = task::resolve_task(&ctx.layout, target);
    match (event, task) {
        (Some(event), task) => of_task(ctx, task?, target, event),
        (None, Ok(task)) => {
            if let Some(own) = own.filter(|own| query::task_of(ctx, own).is_ok_and(|t| t == task)) {
                return Ok((own.clone(), task));
            }
            Ok((query::find_of_task_or_run(ctx, target, true)?, task))
        }
        (None, Err(_)) => {
            let run = query::find(ctx, target)?;
            let task = query::task_of(ctx, &run)?;
            Ok((run, task))
        }
    }
}

fn which() -> Failure {
    Failure::new(Code::Usage, "say which run: this command is not part of one")
        .hint("lattice worker ps shows the open ones")
}

fn of_task(ctx: &Context, task: TaskId, name: &str, event: &str) -> Result<(RunId, TaskId)> {
    let (events, _, _) = task::read_task(&ctx.layout, &task)?;
    let known = events.iter().filter_map(Event::run).find(|run| run.as_str() == event);
    if let Some(run) = known {
        return Ok((run, task));
    }
    let run = query::find(ctx, event)?;
    if query::task_of(ctx, &run)? == task {
        return Ok((run, task));
    }
    Err(Failure::new(Code::NotFound, format!("{run} is no run of {name}"))
        .hint("lattice worker ps --all"))
}
