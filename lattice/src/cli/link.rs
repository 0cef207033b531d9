//! `lattice link`

use clap::Args;
use serde_json::{Map, Value};

use lattice::model::event::RELATIONSHIP_ADDED;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::model::relationship::{TYPES, has_relationship};
use lattice::storage::layout::Layout;
use lattice::storage::task::read_task;

use super::change::{Change, one_of};
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Say what a task is to another one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice link LAT-42 blocks LAT-43 --actor human:ana
  lattice link LAT-42 subtask_of LAT-7 --note \"the parser part\" --actor human:ana")]
pub(crate) struct LinkArgs {
    #[command(flatten)]
    relation: RelationArgs,
    /// More about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

/// What both commands about relationships are given.
#[derive(Debug, Args)]
pub(crate) struct RelationArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// blocks, depends_on, duplicate_of, related_to, spawned_by, subtask_of or supersedes
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Short ID or full ID of the other task
    #[arg(value_name = "TARGET")]
    target: String,
}

impl RelationArgs {
    /// The task, the type and the other task.
    pub(crate) fn parts(&self, change: &Change<'_>) -> Result<(TaskId, String, TaskId)> {
        let (task, target) = (change.task(&self.task)?, change.task(&self.target)?);
        Ok((task, one_of("type of relationship", &self.kind, &TYPES)?, target))
    }
}

pub(crate) fn link(session: &Session, args: &LinkArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let (task, kind, target) = args.relation.parts(&change)?;
    check_target(&change.layout, &task, &target)?;
    let txn = change.begin(&task)?;
    if has_relationship(txn.snapshot(), &kind, target.as_str()) {
        let id = txn.snapshot().display_id();
        let message = format!("{id} has the relationship {kind} to {target} already");
        return Err(Failure::new(Code::Conflict, message).hint(format!(
            "lattice unlink {id} {kind} {}    (first, to change its note)",
            args.relation.target
        )));
    }
    let mut data = Map::new();
    data.insert("type".to_owned(), kind.as_str().into());
    data.insert("target_task_id".to_owned(), target.as_str().into());
    if let Some(note) = &args.note {
        data.insert("note".to_owned(), note.as_str().into());
    }
    let event = change.author.event(RELATIONSHIP_ADDED, &task, now(), data.into());
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Linked {task} --[{kind}]--> {target}");
    session.out.answer(Value::Object(snapshot.0), &task, human)
}

/// Another task, and one that is not archived.
fn check_target(layout: &Layout, task: &TaskId, target: &TaskId) -> Result<()> {
    if task == target {
        return Err(Failure::new(Code::ValidationError, "a task cannot be linked to itself")
            .hint("name another task behind the type; `lattice list` shows them"));
    }
    let (.., archived) = read_task(layout, target)?;
    if archived {
        let message = format!("the target {target} is archived");
        return Err(
            Failure::new(Code::NotFound, message).hint(format!("lattice unarchive {target}"))
        );
    }
    Ok(())
}
