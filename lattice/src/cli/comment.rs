//! `lattice comment`

use std::io::{self, Read};

use clap::{Args, ValueHint};
use serde_json::{Map, Value};

use lattice::model::comments::{checked_body, comments, find_parent};
use lattice::model::event::COMMENT_ADDED;
use lattice::model::failure::{Code, Failure, Result};

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Add a comment to a task
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice comment LAT-42 \"Reproduced on main\" --actor human:ana
  lattice comment LAT-42 --file review.md --role review --actor agent:claude
  git log -1 | lattice comment LAT-42 --file - --actor agent:ci
  lattice comment LAT-42 \"Fixed\" --reply-to ev_01JC... --actor human:bob")]
pub(crate) struct CommentArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// The comment
    text: Option<String>,
    /// Read the comment from a file, or from the standard input with -
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    file: Option<String>,
    /// The comment to answer, by the ID of its event
    #[arg(long, value_name = "EVENT")]
    reply_to: Option<String>,
    /// What the comment counts as, for example review
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn comment(session: &Session, args: &CommentArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let body = body(args)?;
    change.check_role(args.role.as_deref())?;
    let task = change.task(&args.task)?;
    let txn = change.begin(&task)?;
    let mut data = Map::new();
    data.insert("body".to_owned(), body.into());
    if let Some(parent) = &args.reply_to {
        find_parent(&comments(txn.events()), parent)?;
        data.insert("parent_id".to_owned(), parent.as_str().into());
    }
    if let Some(role) = &args.role {
        data.insert("role".to_owned(), role.as_str().into());
    }
    let event = change.author.event(COMMENT_ADDED, &task, now(), Value::Object(data));
    let snapshot = change.commit(txn, &[event])?;
    let what = if args.reply_to.is_some() { "Reply" } else { "Comment" };
    session.out.answer(Value::Object(snapshot.0), "ok", format_args!("{what} added to {task}"))
}

/// Read before any lock is taken: the standard input may be slow.
fn body(args: &CommentArgs) -> Result<String> {
    let refuse = |message: &str| Failure::new(Code::ValidationError, message);
    let text = match (&args.text, args.file.as_deref()) {
        (Some(_), Some(_)) => {
            return Err(refuse("there is a comment and a --file; only one of them can be meant")
                .hint("leave one of them out"));
        }
        (None, None) => {
            return Err(refuse("there is nothing to add")
                .hint("write the comment behind the task, or name a file with --file"));
        }
        (Some(text), None) => text.clone(),
        (None, Some("-")) => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::io("cannot read the standard input", error))?;
            text
        }
        (None, Some(path)) => fs_err::read_to_string(path)?,
    };
    checked_body(&text)
}
