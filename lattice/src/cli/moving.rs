//! What `archive` and `unarchive` have in common: one task or several, there or back.

use serde_json::{Value, json};

use lattice::model::event::{Event, TASK_ARCHIVED, TASK_UNARCHIVED};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::model::reduce::{Snapshot, open_runs};
use lattice::runs::context::Context;
use lattice::runs::halt;
use lattice::storage::task::TaskTxn;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::out::Form;
use super::progress::Progress;
use super::runs::context;
use super::session::Session;

/// A run may start between the look at the runs and the lock.
const ATTEMPTS: usize = 3;

pub(crate) struct Move<'a> {
    session: &'a Session,
    pub(crate) change: Change<'a>,
    ctx: Context,
    archive: bool,
    force: bool,
}

struct Moved {
    task: TaskId,
    event: Event,
    snapshot: Snapshot,
}

impl<'a> Move<'a> {
    pub(crate) fn new(
        session: &'a Session,
        write: &WriteArgs,
        archive: bool,
        force: bool,
    ) -> Result<Self> {
        let change = Change::new(session, write)?;
        let ctx = context(session, &change.layout);
        Ok(Self { session, change, ctx, archive, force })
    }

    pub(crate) fn single(&self, text: &str) -> Result<()> {
        let moved = self.one(text)?;
        let done = format!("{}d task {}", capital(self.verb()), moved.task);
        self.session.out.answer(moved.event.to_value(), &moved.task, done)
    }

    /// One after the other; what is refused does not stop the rest.
    pub(crate) fn several(&self, tasks: &[String], none: &str) -> Result<()> {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for text in tasks {
            match self.one(text) {
                Ok(moved) => done.push(moved.snapshot.display_id().to_owned()),
                // Whoever interrupts means the whole command.
                Err(failure) if failure.code() == Code::Interrupted => return Err(failure),
                Err(failure) => failed.push((text, failure)),
            }
        }
        let out = &self.session.out;
        match out.form() {
            Form::Json => {}
            Form::Quiet => done.iter().try_for_each(|id| out.line(id))?,
            Form::Human if tasks.is_empty() => out.line(none)?,
            Form::Human if done.is_empty() => {}
            Form::Human => {
                let (verb, count, ids) = (capital(self.verb()), done.len(), done.join(", "));
                out.line(format_args!("{verb}d {count} task(s): {ids}"))?;
            }
        }
        if !out.is_json() {
            for (id, why) in &failed {
                out.note(format_args!("  Failed {id}: {why}"));
            }
        }
        out.end_without_blank_line();
        let refused: Vec<Value> = failed
            .iter()
            .map(|(id, why)| json!({"id": id, "error": why.message(), "code": why.code().as_str()}))
            .collect();
        let data = json!({(format!("{}d", self.verb())): done, "failed": refused});
        match failed.first() {
            None if out.is_json() => out.data(data),
            None => Ok(()),
            Some((_, first)) => {
                out.keep(data);
                Err(self.some_failed(failed.len(), tasks.len(), first))
            }
        }
    }

    fn some_failed(&self, failed: usize, all: usize, first: &Failure) -> Failure {
        let message = format!("{failed} of {all} tasks could not be {}d", self.verb());
        let failure = Failure::new(Code::ValidationError, message);
        failure.hint(first.hint_text().unwrap_or("the lines above name the reasons"))
    }

    fn one(&self, text: &str) -> Result<Moved> {
        let task = self.change.task(text)?;
        let (event, snapshot, is_new) = self.relocate(&task)?;
        if is_new {
            self.change.fire(std::slice::from_ref(&event))?;
        }
        Ok(Moved { task, event, snapshot })
    }

    /// The event, the state, and whether the event is of this call: a move that was cut off is only finished.
    fn relocate(&self, task: &TaskId) -> Result<(Event, Snapshot, bool)> {
        let mut txn = self.quiet(task)?;
        if txn.belongs_in_archive() == self.archive {
            return self.finish(&mut txn, task);
        }
        let event = self.change.author.event(self.kind(), task, now(), json!({}));
        let moved = txn.relocate(self.archive, &event)?;
        if let Some(why) = moved.unfinished {
            self.session.out.warn(format_args!(
                "the event is recorded, but the move is not finished ({why}); `lattice doctor --fix` goes on with it"
            ));
        }
        Ok((event, moved.snapshot, true))
    }

    fn finish(&self, txn: &mut TaskTxn, task: &TaskId) -> Result<(Event, Snapshot, bool)> {
        let last = txn.events().iter().rev().find(|event| event.kind() == self.kind()).cloned();
        match last {
            Some(event) if !txn.is_settled() => {
                txn.settle()?;
                Ok((event, txn.snapshot().clone(), false))
            }
            _ => {
                let place = if self.archive { "archived" } else { "active" };
                Err(Failure::new(Code::Conflict, format!("task {task} is already {place}"))
                    .hint(format!("lattice show {}", txn.snapshot().display_id())))
            }
        }
    }

    /// The locked task, without an open run if it goes to the archive.
    fn quiet(&self, task: &TaskId) -> Result<TaskTxn> {
        for attempt in 1.. {
            if self.archive {
                let watch = self.session.interrupts.watch()?;
                let progress = Progress::new(self.session, format!("ending the runs of {task}"));
                halt::halt(&self.ctx, task, self.force, &mut || !watch.interrupted())?;
                drop(progress);
            }
            let progress = Progress::for_lock(self.session, task);
            let txn = TaskTxn::begin_lifecycle(&self.change.layout, task)?;
            drop(progress);
            let open = if self.archive { open_runs(txn.events()) } else { Vec::new() };
            if open.is_empty() {
                return Ok(txn);
            }
            if !self.force || attempt == ATTEMPTS {
                halt::refuse_open(&open)?;
            }
        }
        unreachable!("the last attempt returns")
    }

    fn kind(&self) -> &'static str {
        if self.archive { TASK_ARCHIVED } else { TASK_UNARCHIVED }
    }

    fn verb(&self) -> &'static str {
        if self.archive { "archive" } else { "unarchive" }
    }
}

/// Tasks as they were typed, each once, also with commas between them.
pub(crate) fn split(words: &[String]) -> Vec<String> {
    let mut tasks: Vec<String> = Vec::new();
    for task in words.iter().flat_map(|word| word.split(',')).map(str::trim) {
        if !task.is_empty() && !tasks.iter().any(|known| known.eq_ignore_ascii_case(task)) {
            tasks.push(task.to_owned());
        }
    }
    tasks
}

pub(crate) fn no_task() -> Failure {
    Failure::new(Code::ValidationError, "no task is named")
}

fn capital(verb: &str) -> String {
    let (first, rest) = verb.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}
