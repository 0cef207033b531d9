//! `lattice comment-delete`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::comments::{comments, find};
use lattice::model::event::COMMENT_DELETED;
use lattice::model::failure::Result;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Take a comment out of sight; its words stay in the log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice comment-delete LAT-42 ev_01JC... --actor human:ana")]
pub(crate) struct CommentDeleteArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// The comment, by the ID of its event: `lattice comments TASK`
    #[arg(value_name = "COMMENT")]
    comment: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn comment_delete(session: &Session, args: &CommentDeleteArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let txn = change.begin(&task)?;
    let all = comments(txn.events());
    let data = json!({"comment_id": find(&all, &args.comment)?.id});
    let event = change.author.event(COMMENT_DELETED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Comment {} deleted from {task}", args.comment);
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}
