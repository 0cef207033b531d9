//! `lattice unreact`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::comments::{check_emoji, comments, find};
use lattice::model::event::REACTION_REMOVED;
use lattice::model::failure::{Code, Failure, Result};

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::react::ReactionArgs;
use super::session::Session;

/// Take back a reaction of your own
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice unreact LAT-42 ev_01JC... thumbs_up --actor human:ana")]
pub(crate) struct UnreactArgs {
    #[command(flatten)]
    reaction: ReactionArgs,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn unreact(session: &Session, args: &UnreactArgs) -> Result<()> {
    let ReactionArgs { task, comment, emoji } = &args.reaction;
    let change = Change::new(session, &args.write)?;
    let task = change.task(task)?;
    check_emoji(emoji)?;
    let txn = change.begin(&task)?;
    let all = comments(txn.events());
    if !find(&all, comment)?.has_reaction(emoji, &change.author.actor) {
        let who = &change.author.actor;
        let message = format!("there is no reaction :{emoji}: by {who} on {comment}");
        return Err(Failure::new(Code::NotFound, message).hint(format!(
            "lattice comments {}    (names all reactions)",
            txn.snapshot().display_id()
        )));
    }
    let data = json!({"comment_id": comment, "emoji": emoji});
    let event = change.author.event(REACTION_REMOVED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Reaction :{emoji}: removed from {comment}");
    session.out.answer(Value::Object(snapshot.0), "ok", human)
}
