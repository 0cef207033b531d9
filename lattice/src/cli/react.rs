//! `lattice react`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::comments::{check_emoji, comments, find};
use lattice::model::event::REACTION_ADDED;
use lattice::model::failure::Result;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Say something about a comment in one word
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice react LAT-42 ev_01JC... thumbs_up --actor human:ana")]
pub(crate) struct ReactArgs {
    #[command(flatten)]
    pub(crate) reaction: ReactionArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// What both commands about reactions are given.
#[derive(Debug, Args)]
pub(crate) struct ReactionArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// The comment, by the ID of its event: `lattice comments TASK`
    #[arg(value_name = "COMMENT")]
    pub(crate) comment: String,
    /// Letters, digits, _ and -, without colons: thumbs_up
    #[arg(value_name = "EMOJI", allow_hyphen_values = true)]
    pub(crate) emoji: String,
}

pub(crate) fn react(session: &Session, args: &ReactArgs) -> Result<()> {
    let ReactionArgs { task, comment, emoji } = &args.reaction;
    let change = Change::new(session, &args.write)?;
    let task = change.task(task)?;
    check_emoji(emoji)?;
    let txn = change.begin(&task)?;
    let all = comments(txn.events());
    if find(&all, comment)?.has_reaction(emoji, &change.author.actor) {
        let human = format!("Reaction :{emoji}: already exists on {comment} (idempotent).");
        return session.out.answer(Value::Object(txn.snapshot().0.clone()), "ok", human);
    }
    let data = json!({"comment_id": comment, "emoji": emoji});
    let event = change.author.event(REACTION_ADDED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Reaction :{emoji}: added to {comment}");
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}
