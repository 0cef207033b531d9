//! `lattice worker logs`

use clap::Args;
use serde_json::json;

use lattice::model::failure::{Code, Failure, Result};
use lattice::runs::query;

use super::tail::Tail;
use super::watch::{Watch, watch};
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render;

/// Show what a run has printed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker logs LAT-42
  lattice worker logs 7QK3ZD -n 50
  lattice worker logs LAT-42 -f     to its end; Ctrl-C stops the showing, not the run")]
pub(crate) struct LogsArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its open run, else its newest
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// Go on until the run ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

pub(crate) fn logs(session: &Session, args: &LogsArgs) -> Result<()> {
    let out = &session.out;
    if args.follow && out.is_json() {
        return Err(Failure::new(Code::Usage, "--follow has no JSON form")
            .hint("wait with `lattice worker wait --json`, then read the log"));
    }
    let ctx = context(session, &session.layout()?);
    reap_dead(session, &ctx);
    let run = query::find_of_task_or_run(&ctx, &args.target, true)?;
    let view = query::view(&ctx, &run)?;
    let mut tail = Tail::open(view.log_path.clone(), args.lines)?;
    if out.is_json() {
        return out.data(json!({
            "run": run.as_str(),
            "task_id": view.task.as_str(),
            "log_path": view.log_path.display().to_string(),
            "log_bytes": view.log_bytes,
            "text": tail.text()?,
        }));
    }
    tail.copy(out)?;
    if view.ended.is_some() && view.log_bytes.is_none() {
        out.note(format_args!(
            "{} is not there: it was pruned, or never on this machine.",
            view.log_path.display()
        ));
    }
    if args.follow {
        let event = watch(
            session,
            &ctx,
            Watch { run: &run, task: &view.task, timeout: None, tail: Some(tail) },
        )?;
        out.note(render::worker::outcome(&event));
    }
    Ok(())
}
