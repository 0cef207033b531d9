//! `lattice update`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::config::Config;
use lattice::model::event::{Event, FIELD_UPDATED};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::reduce::Snapshot;

use super::change::{Change, one_of};
use super::create::{COMPLEXITIES, PRIORITIES, URGENCIES, split_tags};
use super::identity::{WriteArgs, now};
use super::session::Session;

const FIELDS: &str =
    "title, description, priority, urgency, complexity, type, tags, custom_fields.KEY";

/// Change fields of a task
///
/// Status and assignee have commands of their own.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice update LAT-42 priority=high tags=parser,urgent --actor human:ana
  lattice update LAT-42 \"title=Parser drops the last line\" custom_fields.estimate=3 --actor human:ana")]
pub(crate) struct UpdateArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// title, description, priority, urgency, complexity, type, tags (a,b) or custom_fields.KEY
    #[arg(value_name = "FIELD=VALUE")]
    pairs: Vec<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn update(session: &Session, args: &UpdateArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let wanted = wanted(&change.config, &args.pairs)?;
    let txn = change.begin(&task)?;
    let ts = now();
    let events: Vec<Event> = wanted
        .iter()
        .filter_map(|(field, to)| Some((field, old_value(txn.snapshot(), field, to)?, to)))
        .map(|(field, from, to)| {
            let data = json!({"field": field, "from": from, "to": to});
            change.author.event(FIELD_UPDATED, &task, ts.clone(), data)
        })
        .collect();
    if events.is_empty() {
        return change.nothing_to_do("No changes");
    }
    let fields: Vec<&str> =
        events.iter().filter_map(|event| event.data().get("field")?.as_str()).collect();
    let human = format!("Updated task {task}: {}", fields.join(", "));
    let snapshot = change.commit(txn, &events)?;
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}

/// Fields with their new values, in the order of the command line.
fn wanted(config: &Config, pairs: &[String]) -> Result<Vec<(String, Value)>> {
    let mut wanted: Vec<(String, Value)> = Vec::new();
    for pair in pairs {
        let (field, text) = pair.split_once('=').ok_or_else(|| {
            refuse(format!("'{pair}' is no pair of a field and a value"))
                .hint("write FIELD=VALUE, for example priority=high")
        })?;
        if wanted.iter().any(|(known, _)| known == field) {
            return Err(refuse(format!("{field} is given twice")).hint("leave one of them out"));
        }
        wanted.push((field.to_owned(), new_value(config, field, text)?));
    }
    if wanted.is_empty() {
        return Err(refuse("there is nothing to update".to_owned())
            .hint(format!("write FIELD=VALUE behind the task; fields are: {FIELDS}")));
    }
    Ok(wanted)
}

fn new_value(config: &Config, field: &str, text: &str) -> Result<Value> {
    let chosen = |what: &str, allowed: &[&str]| Ok(one_of(what, text, allowed)?.into());
    match field {
        "title" | "description" => Ok(text.into()),
        "priority" => chosen("priority", &PRIORITIES),
        "urgency" => chosen("urgency", &URGENCIES),
        "complexity" => chosen("complexity", &COMPLEXITIES),
        "type" => chosen("task type", &config.task_types()),
        "tags" => Ok(split_tags(text).into()),
        "status" => Err(refuse("the status is not changed like a field".to_owned())
            .hint("lattice status TASK STATUS")),
        "assigned_to" => Err(refuse("the assignee is not changed like a field".to_owned())
            .hint("lattice assign TASK ACTOR")),
        _ => match field.strip_prefix("custom_fields.") {
            Some("") => Err(refuse("custom_fields. needs a key behind its point".to_owned())
                .hint("write custom_fields.KEY=VALUE")),
            Some(_) => Ok(text.into()),
            None => Err(refuse(format!("'{field}' is no field that can be updated"))
                .hint(format!("fields are: {FIELDS}"))),
        },
    }
}

/// What a field holds, if that is something else.
fn old_value(task: &Snapshot, field: &str, new: &Value) -> Option<Value> {
    let found = match field.strip_prefix("custom_fields.") {
        Some(key) => task.get("custom_fields").and_then(|fields| fields.get(key)),
        None => task.get(field),
    };
    let old = match found.cloned().unwrap_or_default() {
        Value::Null if field == "tags" => json!([]),
        old => old,
    };
    (old != *new).then_some(old)
}

fn refuse(message: String) -> Failure {
    Failure::new(Code::ValidationError, message)
}
