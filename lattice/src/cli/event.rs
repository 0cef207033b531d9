//! `lattice event`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::event::Event;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::EventId;
use lattice::model::json::compact;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Record an event of your own on a task
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice event LAT-42 x_deployed --data '{\"to\": \"staging\"}' --actor agent:ci
  lattice event LAT-42 x_built --id ev_01JC0000000000000000000000 --actor agent:ci
      (with --id, doing it again is success and changes nothing)")]
pub(crate) struct EventArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// What happened: a word that begins with x_
    #[arg(value_name = "TYPE")]
    kind: String,
    /// A JSON object with whatever belongs to it
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// An ID of your own, ev_ and a ULID
    #[arg(long, value_name = "EVENT_ID")]
    id: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn event(session: &Session, args: &EventArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    check_type(&args.kind)?;
    let data = parse_data(args.data.as_deref())?;
    let id = args.id.as_deref().map(parse_id).transpose()?.unwrap_or_else(EventId::generate);
    let txn = change.begin(&task)?;
    if let Some(stored) = txn.events().iter().find(|event| event.id() == id.as_str()) {
        check_same(stored, &args.kind, &data)?;
        let human = format!("Event {id} already exists (idempotent).");
        return session.out.answer(stored.to_value(), &id, human);
    }
    let event = change.author.event(&args.kind, &task, now(), data).with_id(&id);
    let events = [event];
    change.commit(txn, &events)?;
    let [event] = events;
    session.out.answer(event.into_value(), &id, format!("Recorded {} on {task}", args.kind))
}

/// All other words are, or may become, the tracker's own.
fn check_type(kind: &str) -> Result<()> {
    if kind.starts_with("x_") {
        return Ok(());
    }
    Err(Failure::new(Code::ValidationError, format!("'{kind}' is not yours to record"))
        .hint(format!("types of your own begin with x_, for example x_{kind}")))
}

fn parse_data(text: Option<&str>) -> Result<Value> {
    let Some(text) = text else { return Ok(json!({})) };
    let refuse = |why: String| {
        Failure::new(Code::ValidationError, format!("--data {why}"))
            .hint("give a JSON object, for example --data '{\"to\": \"staging\"}'")
    };
    match serde_json::from_str(text) {
        Ok(data @ Value::Object(_)) => Ok(data),
        Ok(_) => Err(refuse("is no JSON object".to_owned())),
        Err(error) => Err(refuse(format!("is not JSON: {error}"))),
    }
}

fn parse_id(text: &str) -> Result<EventId> {
    EventId::parse(text).ok_or_else(|| {
        Failure::new(Code::InvalidId, format!("'{text}' is no event ID"))
            .hint("an event ID is ev_ and a ULID; leave --id out to get a new one")
    })
}

/// The same ID again means the same thing again, or it is a mistake.
fn check_same(stored: &Event, kind: &str, data: &Value) -> Result<()> {
    // By the bytes on disk, where 1e2 and 100.0 are one number.
    if stored.kind() == kind && compact(stored.get("data")) == compact(data) {
        return Ok(());
    }
    Err(Failure::new(Code::Conflict, format!("event {} exists and is something else", stored.id()))
        .hint("leave --id out to get a new one"))
}
