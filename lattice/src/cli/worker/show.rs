//! `lattice worker show`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::event::Event;
use lattice::model::failure::Result;
use lattice::runs::context::Context;
use lattice::runs::query::{self, View};
use lattice::runs::record;

use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render;

/// Show everything that is known of a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker show 7QK3ZD
  lattice worker show LAT-42 --json | jq .data.ended.data.reason")]
pub(crate) struct ShowArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its open run, else its newest
    #[arg(value_name = "RUN|TASK")]
    target: String,
}

pub(crate) fn show(session: &Session, args: &ShowArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    reap_dead(session, &ctx);
    let run = query::find_of_task_or_run(&ctx, &args.target, true)?;
    let view = query::view(&ctx, &run)?;
    session.out.answer(
        as_json(&ctx, &view),
        &run,
        render::worker::page(&view, &session.clock(), session.out.paint),
    )
}

fn as_json(ctx: &Context, view: &View) -> Value {
    let ended = view.ended.as_ref();
    let existing = |path: std::path::PathBuf| path.exists().then(|| path.display().to_string());
    let worktree = view.spec.as_ref().and_then(|spec| spec.worktree_path.clone());
    json!({
        "run": view.run.as_str(),
        "task_id": view.task.as_str(),
        "worker": view.worker,
        "state": view.state.as_str(),
        "started": view.started.to_value(),
        "ended": ended.map(Event::to_value),
        "spec": view.spec,
        "supervisor": view.supervisor,
        "paths": {
            "log": existing(view.log_path.clone()),
            "run_directory": existing(ctx.layout.run_dir(&view.run)),
            "record": existing(record::path(&ctx.layout, &view.run)),
            "worktree": worktree.and_then(existing),
        },
        "usage": ended.and_then(|event| event.data().get("usage")),
    })
}
