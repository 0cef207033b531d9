//! `lattice list`

use clap::Args;
use serde_json::Value;

use lattice::model::actor;
use lattice::model::config::Config;
use lattice::model::failure::Result;
use lattice::model::reduce::Snapshot;
use lattice::storage::task::{list_snapshots, read_config};

use super::out::Form;
use super::runs::{context, reap_dead};
use super::session::Session;
use crate::render;

/// List tasks
///
/// The filters must all hold. A task file that cannot be read is named and left out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice list
  lattice list --status in_progress --assigned agent:claude
  lattice list --json --compact | jq -r '.data[] | select(.priority == \"high\") | .short_id'")]
pub(crate) struct ListArgs {
    /// Only tasks in this status, by its name or as it is displayed
    #[arg(long)]
    status: Option<String>,
    /// Only tasks of this assignee
    #[arg(long, value_name = "ACTOR")]
    assigned: Option<String>,
    /// Only tasks with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only tasks of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only tasks of this priority
    #[arg(long)]
    priority: Option<String>,
    /// Archived tasks too
    #[arg(long)]
    include_archived: bool,
    /// With --json: counts instead of lists, and no long texts
    #[arg(long)]
    compact: bool,
}

pub(crate) fn list(session: &Session, args: &ListArgs) -> Result<()> {
    let layout = session.layout()?;
    reap_dead(session, &context(session, &layout));
    let config = read_config(&layout)?;
    let status = args.status.as_deref().map(|text| status_filter(session, &config, text));
    let (tasks, unreadable) = list_snapshots(&layout, args.include_archived);
    session.out.warn_all(unreadable);
    let wanted = tasks.into_iter().filter(|(task, _)| matches(args, status.as_deref(), task));
    match session.out.form() {
        Form::Json => {
            session.out.data(wanted.map(|(task, archived)| as_json(args, task, archived)).collect())
        }
        Form::Quiet => {
            wanted.into_iter().try_for_each(|(task, _)| session.out.line(task.display_id()))
        }
        Form::Human => wanted.into_iter().try_for_each(|(task, archived)| {
            let status = config.display_status(task.status());
            session.out.line(render::task::list_line(&task, &status, archived, session.out.paint))
        }),
    }
}

/// A status by its name or as it is displayed. An unknown one matches nothing, which deserves a word.
fn status_filter(session: &Session, config: &Config, text: &str) -> String {
    let statuses = config.statuses();
    let shown_so = |status: &&&str| config.display_status(status).eq_ignore_ascii_case(text);
    let found = statuses.iter().find(|status| **status == text);
    if let Some(status) = found.or_else(|| statuses.iter().find(shown_so)) {
        return (*status).to_owned();
    }
    let known = statuses.join(", ");
    session.out.warn(format_args!("'{text}' is not a configured status. Valid statuses: {known}."));
    text.to_owned()
}

fn matches(args: &ListArgs, status: Option<&str>, task: &Snapshot) -> bool {
    let is = |wanted: Option<&str>, key: &str| {
        wanted.is_none_or(|wanted| task.text(key) == Some(wanted))
    };
    let assignee = task.get("assigned_to").map(actor::display);
    let tags = task.get("tags").and_then(Value::as_array);
    is(status, "status")
        && is(args.kind.as_deref(), "type")
        && is(args.priority.as_deref(), "priority")
        && args.assigned.as_deref().is_none_or(|wanted| assignee == Some(wanted))
        && args
            .tag
            .as_deref()
            .is_none_or(|wanted| tags.is_some_and(|tags| tags.iter().any(|tag| tag == wanted)))
}

fn as_json(args: &ListArgs, task: Snapshot, archived: bool) -> Value {
    let mut map = if args.compact { render::task::compact(&task) } else { task.0 };
    if archived {
        map.insert("archived".to_owned(), true.into());
    }
    Value::Object(map)
}
