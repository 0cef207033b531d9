//! `lattice comment-edit`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::comments::{checked_body, comments, find};
use lattice::model::event::COMMENT_EDITED;
use lattice::model::failure::Result;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Change the words of a comment; the old ones stay in the log
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice comment-edit LAT-42 ev_01JC... \"Reproduced on main and 1.2\" --actor human:ana")]
pub(crate) struct CommentEditArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// The comment, by the ID of its event: `lattice comments TASK`
    #[arg(value_name = "COMMENT")]
    comment: String,
    /// The new words
    text: String,
    /// What the comment counts as from now on, for example review
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn comment_edit(session: &Session, args: &CommentEditArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let task = change.task(&args.task)?;
    let body = checked_body(&args.text)?;
    change.check_role(args.role.as_deref())?;
    let txn = change.begin(&task)?;
    let all = comments(txn.events());
    let comment = find(&all, &args.comment)?;
    let mut data = json!({"comment_id": comment.id, "body": body, "previous_body": comment.body});
    if let Some(role) = &args.role {
        data["role"] = role.as_str().into();
        if comment.role.as_ref() != Some(role) {
            data["previous_role"] = comment.role.clone().into();
        }
    }
    let event = change.author.event(COMMENT_EDITED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Comment {} edited on {task}", args.comment);
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}
