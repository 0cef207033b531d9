//! `lattice create`

use clap::Args;
use serde_json::Value;

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::storage::task::{Created, NewTask, create_task};

use super::change::{Change, one_of};
use super::identity::{WriteArgs, checked_actor};
use super::progress::Progress;
use super::session::Session;
use crate::render;

pub(super) const PRIORITIES: [&str; 4] = ["critical", "high", "medium", "low"];
pub(super) const URGENCIES: [&str; 4] = ["immediate", "high", "normal", "low"];
pub(super) const COMPLEXITIES: [&str; 3] = ["low", "medium", "high"];

/// Create a task
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice create \"Parser drops the last line\" --actor human:ana
  lattice create \"Rotate keys\" --type chore --priority high --tags ops,security --actor agent:claude
  lattice create \"From a script\" --id task_01JC0000000000000000000000 --actor agent:bot --quiet
      (with --id, doing it again is success and changes nothing)")]
pub(crate) struct CreateArgs {
    /// What is to be done, in one line
    title: String,
    /// One of the project's task types [default: task]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// critical, high, medium or low [default: the project's, usually medium]
    #[arg(long)]
    priority: Option<String>,
    /// immediate, high, normal or low
    #[arg(long)]
    urgency: Option<String>,
    /// low, medium or high
    #[arg(long)]
    complexity: Option<String>,
    /// Where it starts in the workflow [default: the project's, usually backlog]
    #[arg(long)]
    status: Option<String>,
    /// More about it; also the beginning of its plan
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Words to find it by, with commas between
    #[arg(long, value_name = "A,B")]
    tags: Option<String>,
    /// Who does it
    #[arg(long, value_name = "ACTOR")]
    assigned_to: Option<String>,
    /// An ID of your own, task_ and a ULID
    #[arg(long, value_name = "TASK_ID")]
    id: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn create(session: &Session, args: &CreateArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let new = new_task(&change, args)?;
    change.layout.ensure_dirs()?;
    let progress = Progress::for_lock(session, "the short IDs");
    let created = create_task(&change.layout, &change.config, &new, &change.author)?;
    drop(progress);
    let Created { snapshot, event, trouble } = created;
    if let Some(failure) = trouble {
        let id = snapshot.display_id();
        session.out.warn(format_args!("{id} is created, but not all of its files: {failure}"));
    }
    change.fire(event.as_slice())?;
    let (quiet, human) = (snapshot.display_id().to_owned(), render::task::created(&snapshot));
    session.out.answer(Value::Object(snapshot.0), quiet, human)
}

fn new_task(change: &Change<'_>, args: &CreateArgs) -> Result<NewTask> {
    let config = &change.config;
    let types = config.task_types();
    let optional = |what: &str, value: &Option<String>, allowed: &[&str]| {
        value.as_deref().map(|value| one_of(what, value, allowed)).transpose()
    };
    let kind = optional("task type", &args.kind, &types)?;
    let default_kind =
        if types.contains(&"task") { "task" } else { types.first().copied().unwrap_or("task") };
    Ok(NewTask {
        title: args.title.clone(),
        kind: kind.unwrap_or_else(|| default_kind.to_owned()),
        priority: optional("priority", &args.priority, &PRIORITIES)?
            .unwrap_or_else(|| config.default_priority().to_owned()),
        urgency: optional("urgency", &args.urgency, &URGENCIES)?,
        complexity: optional("complexity", &args.complexity, &COMPLEXITIES)?,
        status: optional("status", &args.status, &config.statuses())?
            .unwrap_or_else(|| config.default_status().to_owned()),
        description: args.description.clone(),
        tags: args.tags.as_deref().map(split_tags).unwrap_or_default(),
        assigned_to: args.assigned_to.as_deref().map(checked_actor).transpose()?,
        id: args.id.as_deref().map(parse_id).transpose()?,
    })
}

pub(super) fn split_tags(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn parse_id(text: &str) -> Result<TaskId> {
    TaskId::parse(text).ok_or_else(|| {
        Failure::new(Code::InvalidId, format!("'{text}' is no task ID"))
            .hint("a task ID is task_ and a ULID; leave --id out to get a new one")
    })
}
