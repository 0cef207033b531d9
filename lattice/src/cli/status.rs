//! `lattice status`

use clap::Args;
use serde_json::Value;

use lattice::model::actor;
use lattice::model::event::STATUS_CHANGED;
use lattice::model::failure::Result;
use lattice::model::policy::{Wish, decide, resolve_status, wants_fresh_review};
use lattice::storage::plan;

use super::change::Change;
use super::freshness::{Head, review};
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Change the status of a task, by the rules of the workflow
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice status LAT-42 review --actor agent:claude
  lattice status LAT-42 \"in progress\" --actor human:ana
  lattice status LAT-42 done --force --reason \"reviewed by phone\" --actor human:ana")]
pub(crate) struct StatusArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// Where it goes, by its name or as it is displayed
    #[arg(value_name = "STATUS")]
    status: String,
    /// Against the rules; --reason must say why
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn status(session: &Session, args: &StatusArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let to = resolve_status(&change.config, &args.status)?;
    // Files and git may be slow, so they are asked before the task is locked.
    let plan = plan::read(&change.layout, &task);
    let head = wants_fresh_review(&change.config, &to).then(|| Head::look(&change.layout));
    let txn = change.begin(&task)?;
    let review = review(&change.layout, txn.snapshot(), head.as_ref());
    let reason = args.write.reason.as_deref();
    let wish = Wish { to: &to, force: args.force, reason, plan: &plan, review: &review };
    let Some(step) = decide(&change.config, txn.snapshot(), txn.events(), &wish)? else {
        return change.nothing_to_do(&format!("Already at status {to}"));
    };
    let event = change.author.event(STATUS_CHANGED, &task, now(), step.data);
    let events = [event];
    let snapshot = change.record(txn, &events)?;
    if step.backward {
        let [event] = &events;
        let date = event.ts().split('T').next().unwrap_or_default();
        let heading = format!("## Reset {date} by {}", actor::display(event.actor()));
        if let Err(error) = plan::add_heading(&change.layout, &task, &heading) {
            session.out.warn(format_args!("the plan could not be marked as reset: {error}"));
        }
    }
    change.fire(&events)?;
    let human = format!("Status: {} -> {to} ({})", step.from, snapshot.display_id());
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}
