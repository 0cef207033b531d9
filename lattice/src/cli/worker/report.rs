//! What `worker complete` and `worker fail` have in common.

use serde_json::json;

use lattice::model::event::Event;
use lattice::model::failure::Result;
use lattice::model::words::{Outcome, Words};
use lattice::runs::{reported, secrets};
use lattice::storage::task::read_config;

use crate::cli::hooks;
use crate::cli::identity::checked_actor;
use crate::cli::progress::Progress;
use crate::cli::runs::context;
use crate::cli::session::Session;

/// Which run, and what is said of it.
pub(super) struct Report<'a> {
    pub(super) target: Option<&'a str>,
    pub(super) event: Option<&'a str>,
    pub(super) outcome: Outcome,
    pub(super) text: Option<&'a str>,
    pub(super) actor: Option<&'a str>,
}

pub(super) fn report(session: &Session, report: &Report<'_>) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let own = session.caller.worker_run();
    let (run, task) = reported::find(&ctx, own.as_ref(), report.target, report.event)?;
    let text = report.text.map(str::trim).filter(|text| !text.is_empty());
    let words = Words {
        outcome: report.outcome,
        text: text.map(str::to_owned),
        actor: report.actor.map(checked_actor).transpose()?,
    };
    // The words go into a log that is committed, and whoever ends the run may not know the worker's secrets.
    let progress = Progress::for_lock(session, &run);
    let mask = secrets::of_environment(session.caller.env());
    let told = reported::tell(&ctx, &run, &task, &words.masked(&mask))?;
    drop(progress);
    let id = told.event.as_ref().map(Event::id);
    let outcome = report.outcome.as_str();
    let human = match id {
        Some(id) => format!("Worker process {outcome} (event: {id})"),
        None => format!("Worker process reported as {outcome}; its end will say so (run: {run})"),
    };
    let data = json!({"event_id": id, "recorded": told.recorded});
    session.out.answer(data, id.unwrap_or(run.as_str()), human)?;
    match told.event.filter(|_| told.appended) {
        Some(event) => hooks::fire(session, &ctx.layout, &read_config(&ctx.layout)?, &[event]),
        None => Ok(()),
    }
}
