//! `lattice comments`

use clap::Args;
use serde_json::json;

use lattice::model::comments::{self, Thread, threads};
use lattice::model::failure::Result;
use lattice::storage::task::{read_task, resolve_task};

use super::out::Form;
use super::session::Session;
use crate::render;

/// Show the comments of a task, answers below what they answer
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice comments LAT-42
  lattice comments LAT-42 --quiet     the IDs of those that are no answers")]
pub(crate) struct CommentsArgs {
    /// Short ID (LAT-42) or full ID; archived tasks too
    #[arg(value_name = "TASK")]
    task: String,
}

pub(crate) fn comments(session: &Session, args: &CommentsArgs) -> Result<()> {
    let layout = session.layout()?;
    let id = resolve_task(&layout, &args.task)?;
    let (events, task, _) = read_task(&layout, &id)?;
    let threads = threads(&comments::comments(&events));
    let out = &session.out;
    match out.form() {
        Form::Json => {
            let context = json!({
                "id": task.display_id(), "title": task.get("title"), "status": task.get("status"),
            });
            out.data_beside(threads.iter().map(Thread::to_value).collect(), "task_context", context)
        }
        Form::Quiet => threads.iter().try_for_each(|thread| out.line(&thread.comment.id)),
        Form::Human => out.line(render::comment::page(&task, &threads, &session.clock())),
    }
}
