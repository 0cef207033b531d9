//! `lattice show`

use std::slice;

use clap::Args;
use serde_json::{Map, Value, json};

use lattice::model::config::Config;
use lattice::model::drift::Drift;
use lattice::model::event::Event;
use lattice::model::failure::Result;
use lattice::model::ids::{ArtifactId, TaskId};
use lattice::model::policy::{Reopened, last_reopening, valid_transitions};
use lattice::model::reduce::Snapshot;
use lattice::model::usage::Total;
use lattice::process::bounded::Bounded;
use lattice::runs::context::Context;
use lattice::runs::task_runs::{self, TaskRun};
use lattice::storage::artifact::read_meta;
use lattice::storage::layout::Layout;
use lattice::storage::task::{
    TaskLog, read_config, read_pointing, read_snapshot, read_task_log, resolve_task,
};

use super::freshness::{Drifts, ReviewDrift};
use super::mentions::Mentions;
use super::out::Form;
use super::runs::{context, reap_among};
use super::session::Session;
use crate::render::clock::Clock;
use crate::render::task::{self, Page};
use crate::render::usage;
use crate::render::worker::outcome_word;

/// Show one task: its state, what belongs to it, and its history
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice show LAT-42
  lattice show LAT-42 --full
  lattice show $LATTICE_TASK_ID --json     inside a worker")]
pub(crate) struct ShowArgs {
    /// Short ID (LAT-42) or full ID; archived tasks too
    #[arg(value_name = "TASK")]
    task: String,
    /// Events with all their data
    #[arg(long)]
    full: bool,
    /// Only the head
    #[arg(long)]
    compact: bool,
}

/// What is read from disk. Only the log must be readable; the rest is shown as far as it can be.
struct Found {
    task: Snapshot,
    events: Vec<Event>,
    archived: bool,
    transitions: Vec<String>,
    runs: Vec<TaskRun>,
    relations_out: Vec<Value>,
    relations_in: Vec<Value>,
    artifacts: Vec<Value>,
    plan: Option<String>,
    notes: Option<String>,
    reopened: Option<Reopened>,
    review: Option<ReviewDrift>,
    mentions: Mentions,
}

pub(crate) fn show(session: &Session, args: &ShowArgs) -> Result<()> {
    let layout = session.layout()?;
    let ctx = context(session, &layout);
    let config = read_config(&layout)?;
    let id = resolve_task(&layout, &args.task)?;
    reap_among(session, &ctx, slice::from_ref(&id));
    let found = find(session, &ctx, &config, &id)?;
    match session.out.form() {
        Form::Json => session.out.data(as_json(args, found)),
        Form::Quiet => session.out.line(found.task.display_id()),
        Form::Human => {
            let page = page(&config, args, &found, session.clock());
            let paint = session.out.paint;
            session.out.line(if args.compact {
                task::brief(&page, paint)
            } else {
                task::page(&page, paint)
            })
        }
    }
}

fn find(session: &Session, ctx: &Context, config: &Config, id: &TaskId) -> Result<Found> {
    let layout = &ctx.layout;
    let log = read_task_log(layout, id)?;
    let mut drifts = Drifts::new(layout);
    let review = drifts.of(&log.snapshot);
    let mentions = Mentions::of(&log.snapshot, layout, &mut drifts);
    let runs = task_runs::of_task(ctx, id, &log, &|c| drifts.of_commit(c), &mut Bounded);
    let TaskLog { events, snapshot: task, archived, warning } = log;
    session.out.warn_all(warning.into_iter().collect());
    let existing = |place: &str| {
        let base = if archived { layout.dir.join("archive") } else { layout.dir.clone() };
        base.join(place).join(format!("{id}.md")).is_file().then(|| format!("{place}/{id}.md"))
    };
    Ok(Found {
        review,
        mentions,
        runs,
        transitions: valid_transitions(config, task.status()),
        relations_out: outgoing(&task, layout),
        relations_in: incoming(id, layout),
        artifacts: artifacts(session, layout, &task),
        plan: existing("plans"),
        notes: existing("notes"),
        reopened: last_reopening(config, &events),
        task,
        events,
        archived,
    })
}

fn relations(task: &Snapshot) -> impl Iterator<Item = &Map<String, Value>> {
    task.get("relationships_out")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
}

fn outgoing(task: &Snapshot, layout: &Layout) -> Vec<Value> {
    let enrich = |relation: &Map<String, Value>| {
        let mut relation = relation.clone();
        let target = relation.get("target_task_id").and_then(Value::as_str);
        let target = target.and_then(TaskId::parse);
        if let Some(other) = target.and_then(|target| read_snapshot(layout, &target)) {
            relation.insert("target_title".to_owned(), other.title().into());
        }
        Value::Object(relation)
    };
    relations(task).map(enrich).collect()
}

fn incoming(id: &TaskId, layout: &Layout) -> Vec<Value> {
    let mut found = Vec::new();
    for other in &read_pointing(layout, id) {
        let pointing = |relation: &&Map<String, Value>| {
            relation.get("target_task_id").and_then(Value::as_str) == Some(id.as_str())
        };
        found.extend(relations(other).filter(pointing).map(|relation| {
            json!({
                "source_task_id": other.id(), "source_title": other.title(),
                "type": relation.get("type"), "note": relation.get("note"),
            })
        }));
    }
    found
}

fn artifacts(session: &Session, layout: &Layout, task: &Snapshot) -> Vec<Value> {
    let mut found = Vec::new();
    let references = task.get("evidence_refs").and_then(Value::as_array).into_iter().flatten();
    for reference in references.filter(|reference| reference["source_type"] == "artifact") {
        let mut info = json!({"id": reference["id"], "role": reference["role"]});
        match reference["id"].as_str().and_then(ArtifactId::parse).map(|id| read_meta(layout, &id))
        {
            Some(Ok(Some(meta))) => {
                info["title"] = meta["title"].clone();
                info["type"] = meta["type"].clone();
            }
            Some(Err(failure)) => session.out.warn(failure),
            Some(Ok(None)) | None => {}
        }
        found.push(info);
    }
    found
}

fn page<'a>(config: &Config, args: &ShowArgs, found: &'a Found, clock: Clock) -> Page<'a> {
    // The short form is for those who know the names.
    let shown = |status: &str| {
        if args.compact { status.to_owned() } else { config.display_status(status) }
    };
    Page {
        task: &found.task,
        archived: found.archived,
        status: shown(found.task.status()),
        next: found.transitions.iter().map(|status| shown(status)).collect(),
        runs: &found.runs,
        relations_out: &found.relations_out,
        relations_in: &found.relations_in,
        artifacts: &found.artifacts,
        plan: found.plan.as_deref(),
        notes: found.notes.as_deref(),
        reopened: found.reopened.as_ref().map(Reopened::words),
        review: found.review.as_ref().map(ReviewDrift::words),
        branches: &found.mentions.branches,
        commits: &found.mentions.commits,
        usage: Some(Total::of(&found.events))
            .filter(|total| total.runs > 0)
            .as_ref()
            .map(usage::total),
        events: &found.events,
        full: args.full,
        clock,
    }
}

fn as_json(args: &ShowArgs, found: Found) -> Value {
    let mut map = if args.compact { task::compact(&found.task) } else { found.task.0 };
    map.insert("valid_transitions".to_owned(), found.transitions.into());
    if let Some(usage) = Total::of(&found.events).to_value() {
        map.insert("usage".to_owned(), usage);
    }
    if found.archived {
        map.insert("archived".to_owned(), true.into());
    }
    if args.compact {
        return Value::Object(map);
    }
    map.insert("events".to_owned(), found.events.into_iter().map(Event::into_value).collect());
    map.insert("relationships_enriched".to_owned(), found.relations_out.into());
    map.insert("relationships_in".to_owned(), found.relations_in.into());
    map.insert("artifact_info".to_owned(), found.artifacts.into());
    if !found.runs.is_empty() {
        map.insert("runs".to_owned(), found.runs.iter().map(run_as_json).collect());
    }
    for (key, path) in [("plan_path", found.plan), ("notes_path", found.notes)] {
        if let Some(path) = path {
            map.insert(key.to_owned(), path.into());
        }
    }
    if let Some(reopened) = found.reopened {
        map.insert("reopened_warning".to_owned(), reopened.words().into());
        map.insert("latest_reopen".to_owned(), reopened.to_value());
    }
    map.extend(found.mentions.entries());
    map.extend(found.review.as_ref().map(ReviewDrift::entry));
    if args.full {
        map.insert("_full".to_owned(), true.into());
    }
    Value::Object(map)
}

fn run_as_json(run: &TaskRun) -> Value {
    let counts = run.drift.and_then(Drift::counts);
    let ended = run.ended.as_ref();
    let data = |key: &str| ended.and_then(|event| event.data().get(key));
    json!({
        "run": run.run,
        "worker": run.worker,
        "state": run.state.as_str(),
        "commit_sha": run.commit_sha,
        "commits_behind": counts.map(|(behind, _)| behind),
        "commits_ahead": counts.map(|(_, ahead)| ahead),
        "started_at": run.started_at,
        "ended_at": ended.map(Event::ts),
        "duration_seconds": data("duration_seconds"),
        "outcome": ended.map(outcome_word),
        "reason": data("reason"),
        "words": data("error").or_else(|| data("result")),
        "log_path": run.log_path,
    })
}
