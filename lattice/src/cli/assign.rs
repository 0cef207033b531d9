//! `lattice assign`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::actor;
use lattice::model::event::ASSIGNMENT_CHANGED;
use lattice::model::failure::Result;

use super::change::Change;
use super::identity::{WriteArgs, checked_actor, now};
use super::session::Session;
use crate::render::event::assignee;

/// Say who does a task, or that nobody does
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice assign LAT-42 agent:claude --actor human:ana
  lattice assign LAT-42 none --actor human:ana")]
pub(crate) struct AssignArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// Who does it; none, unassigned or - for nobody
    #[arg(value_name = "ACTOR")]
    assignee: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn assign(session: &Session, args: &AssignArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let to = assigned_to(&args.assignee)?;
    let txn = change.begin(&task)?;
    let from = txn.snapshot().get("assigned_to").cloned().unwrap_or_default();
    // A session's object is the same actor as its name.
    if from == to || (!to.is_null() && actor::display(&from) == actor::display(&to)) {
        return change.nothing_to_do(&match to.as_str() {
            Some(name) => format!("Already assigned to {name}"),
            None => "Already unassigned".to_owned(),
        });
    }
    let human = format!("Assigned: {} -> {}", assignee(&from), assignee(&to));
    let data = json!({"from": from, "to": to});
    let event = change.author.event(ASSIGNMENT_CHANGED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}

fn assigned_to(text: &str) -> Result<Value> {
    match text.to_lowercase().as_str() {
        "none" | "unassigned" | "-" => Ok(Value::Null),
        _ => Ok(checked_actor(text)?.into()),
    }
}
