//! `lattice list`

use clap::Args;
use serde_json::Value;

use lattice::model::actor;
use lattice::model::config::Config;
use lattice::model::failure::Result;
use lattice::model::policy::{REVIEW, newest_artifact};
use lattice::model::reduce::Snapshot;
use lattice::storage::task::read_config;

use super::freshness::{Drifts, ReviewDrift};
use super::out::Form;
use super::runs::list_reaped;
use super::session::Session;
use crate::render;
use crate::render::paint::Paint;

/// What a line shows, what the filters look at, and what speaks of runs and reviews.
const SHOWN: [&str; 10] = [
    "id",
    "short_id",
    "status",
    "priority",
    "type",
    "title",
    "assigned_to",
    "tags",
    "evidence_refs",
    "active_processes",
];

/// Statuses behind which nobody looks for a review.
const OVER: [&str; 2] = ["done", "cancelled"];

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
    let config = read_config(&layout)?;
    let status = args.status.as_deref().map(|text| status_filter(session, &config, text));
    let is_wanted = |task: &Snapshot| matches(args, status.as_deref(), task);
    let mut drifts = Drifts::new(&layout);
    match session.out.form() {
        Form::Json => {
            let keep = |task, archived| is_wanted(&task).then_some((task, archived));
            let row = |(task, archived): (Snapshot, bool)| {
                let drift = drifts.of(&task);
                as_json(args, task, archived, drift.as_ref())
            };
            let tasks = list_reaped(session, &layout, args.include_archived, None, keep);
            session.out.data(tasks.into_iter().map(row).collect())
        }
        Form::Quiet => {
            let keep = |task: Snapshot, _| is_wanted(&task).then(|| task.display_id().to_owned());
            let ids = list_reaped(session, &layout, args.include_archived, Some(&SHOWN), keep);
            ids.iter().try_for_each(|id| session.out.line(id))
        }
        Form::Human => {
            let paint = session.out.paint;
            let keep = |task: Snapshot, archived| {
                is_wanted(&task).then(|| Row::of(&config, task, archived, paint))
            };
            let rows = list_reaped(session, &layout, args.include_archived, Some(&SHOWN), keep);
            rows.iter().try_for_each(|row| match row.drift(&mut drifts) {
                Some(drift) => session.out.line(format_args!("{}  [{}]", row.line, drift.words())),
                None => session.out.line(&row.line),
            })
        }
    }
}

/// A line, and the task itself where a review of it may be old.
struct Row {
    line: String,
    reviewed: Option<Snapshot>,
}

impl Row {
    fn of(config: &Config, task: Snapshot, archived: bool, paint: Paint) -> Self {
        let status = config.display_status(task.status());
        let line = render::task::list_line(&task, &status, archived, paint);
        // What is over was reviewed as it was.
        let is_over = OVER.contains(&task.status()) || archived;
        let is_reviewed = !is_over && newest_artifact(&task, REVIEW).is_some();
        Self { line, reviewed: is_reviewed.then_some(task) }
    }

    /// A fresh review of open work is nothing to speak of.
    fn drift(&self, drifts: &mut Drifts<'_>) -> Option<ReviewDrift> {
        drifts.of(self.reviewed.as_ref()?).filter(|drift| !drift.is_fresh())
    }
}

/// A status by its name or as it is displayed. An unknown one matches nothing, which deserves a word.
fn status_filter(session: &Session, config: &Config, text: &str) -> String {
    if let Some(status) = config.find_status(text) {
        return status.to_owned();
    }
    let known = config.statuses().join(", ");
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

fn as_json(args: &ListArgs, task: Snapshot, archived: bool, drift: Option<&ReviewDrift>) -> Value {
    let mut map = if args.compact { render::task::compact(&task) } else { task.0 };
    if archived {
        map.insert("archived".to_owned(), true.into());
    }
    map.extend(drift.map(ReviewDrift::entry));
    Value::Object(map)
}
