//! `lattice next`

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter;

use clap::Args;
use serde_json::{Map, Value};

use lattice::model::event::{Author, Event};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::model::next::Wanted;
use lattice::model::policy::{Plan, check_plan, claim_steps, is_scaffold};
use lattice::model::reduce::Snapshot;
use lattice::storage::layout::Layout;
use lattice::storage::plan;
use lattice::storage::task::read_task;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::out::Form;
use super::runs::list_reaped;
use super::session::Session;
use crate::render;

/// What decides on the offer, and what speaks of runs.
const RANKED: [&str; 6] =
    ["id", "status", "assigned_to", "priority", "urgency", "active_processes"];

/// Say what to work on next
///
/// Own work that was begun comes first, then what is ready and free: by priority, urgency and age.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice next
  lattice next --actor agent:claude --claim
  lattice next --status planned --json")]
pub(crate) struct NextArgs {
    /// Who asks (inside a worker: the worker); without one, only tasks of nobody are offered
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    name: Option<String>,
    /// Statuses to choose from, with commas between [default: backlog,planned]
    #[arg(long, value_name = "A,B")]
    status: Option<String>,
    /// Take the task: assign it and start it, in one step
    #[arg(long)]
    claim: bool,
}

pub(crate) fn next(session: &Session, args: &NextArgs) -> Result<()> {
    let (actor, name) = (args.actor.clone(), args.name.clone());
    let write = WriteArgs { actor, name, ..WriteArgs::default() };
    let who = who(session, &write, args.claim)?;
    let layout = session.layout()?;
    let wanted = Wanted {
        who: who.map(|author| author.actor),
        statuses: args.status.as_deref().map(super::create::split_tags),
    };
    let Some(found) = choose(session, &layout, &wanted) else {
        return nothing(session);
    };
    let (task, plan) = match &found.task_id() {
        Some(id) if args.claim => claim(session, &write, id)?,
        Some(id) => (found, plan::read(&layout, id)),
        None => (found, Plan::Missing),
    };
    let (quiet, human) = (task.display_id().to_owned(), render::task::next_line(&task));
    session.out.answer(as_json(task, plan).into(), quiet, human)
}

/// Nobody may ask; but nobody cannot take anything.
fn who(session: &Session, write: &WriteArgs, claim: bool) -> Result<Option<Author>> {
    write.check_usage()?;
    match write.author(&session.caller) {
        Ok(author) => Ok(Some(author)),
        Err(failure) if failure.code() != Code::MissingActor => Err(failure),
        Err(_) if !claim => Ok(None),
        Err(_) => {
            let message = "a claim is somebody's, and nobody is named";
            Err(Failure::new(Code::ValidationError, message)
                .hint("add --actor, for example --actor agent:claude"))
        }
    }
}

/// The best task by the snapshots that is on offer by its log, too: another tool may have written an old snapshot.
fn choose(session: &Session, layout: &Layout, wanted: &Wanted) -> Option<Snapshot> {
    let keep = |task: Snapshot, _| wanted.offer(&task).map(Reverse);
    // Mostly the first one is it, and nobody needs the others in order.
    let mut offers = BinaryHeap::from(list_reaped(session, layout, false, Some(&RANKED), keep));
    iter::from_fn(|| offers.pop()).find_map(|Reverse(offer)| {
        let (_, task, archived) = read_task(layout, &offer.task_id()?).ok()?;
        (!archived && wanted.offer(&task).is_some()).then_some(task)
    })
}

fn nothing(session: &Session) -> Result<()> {
    match session.out.form() {
        Form::Json => session.out.data(Value::Null),
        Form::Quiet => Ok(()),
        Form::Human => session.out.line("No tasks available."),
    }
}

/// Assigns and starts the task, if nobody was faster.
fn claim(session: &Session, write: &WriteArgs, task: &TaskId) -> Result<(Snapshot, Plan)> {
    let change = Change::new(session, write)?;
    let plan = plan::read(&change.layout, task);
    let txn = change.begin(task)?;
    let steps = claim_steps(&change.config, txn.snapshot(), &change.author.actor)?;
    check_plan(txn.snapshot(), &plan)?;
    let ts = now();
    let events: Vec<Event> = steps
        .into_iter()
        .map(|(kind, data)| change.author.event(kind, task, ts.clone(), data))
        .collect();
    if events.is_empty() {
        return Ok((txn.snapshot().clone(), plan));
    }
    Ok((change.commit(txn, &events)?, plan))
}

/// The task with its plan, unless nobody has written one.
fn as_json(task: Snapshot, plan: Plan) -> Map<String, Value> {
    let content = match plan {
        Plan::Text(text) if !is_scaffold(&text, None) => Some(text),
        _ => None,
    };
    let mut map = task.0;
    map.insert("plan_content".to_owned(), content.into());
    map
}
