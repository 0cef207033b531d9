//! `lattice react`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::comments::{check_emoji, comments, find};
use lattice::model::event::REACTION_ADDED;
use lattice::model::failure::Result;
use lattice::model::ids::TaskId;
use lattice::storage::task::TaskTxn;

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

/// A task that is locked, for a change of one reaction.
pub(crate) struct Reacting<'a> {
    pub(crate) change: Change<'a>,
    task: TaskId,
    pub(crate) txn: TaskTxn,
    /// Whether the caller's reaction is there.
    pub(crate) is_there: bool,
}

impl ReactionArgs {
    pub(crate) fn begin<'a>(
        &self,
        session: &'a Session,
        write: &WriteArgs,
    ) -> Result<Reacting<'a>> {
        let change = Change::new(session, write)?;
        let task = change.task(&self.task)?;
        check_emoji(&self.emoji)?;
        let txn = change.begin(&task)?;
        let all = comments(txn.events());
        let comment = find(&all, &self.comment)?;
        let is_there = comment.has_reaction(&self.emoji, &change.author.actor);
        Ok(Reacting { change, task, txn, is_there })
    }

    /// Records the event, of one of the two kinds; `done` says in a word what it did.
    pub(crate) fn commit(
        &self,
        session: &Session,
        Reacting { change, task, txn, .. }: Reacting<'_>,
        kind: &str,
        done: &str,
    ) -> Result<()> {
        let Self { comment, emoji, .. } = self;
        let data = json!({"comment_id": comment, "emoji": emoji});
        let event = change.author.event(kind, &task, now(), data);
        let snapshot = change.commit(txn, &[event])?;
        let human = format!("Reaction :{emoji}: {done} {comment}");
        session.out.answer(Value::Object(snapshot.0), "ok", human)
    }
}

pub(crate) fn react(session: &Session, args: &ReactArgs) -> Result<()> {
    let reacting = args.reaction.begin(session, &args.write)?;
    if reacting.is_there {
        let ReactionArgs { comment, emoji, .. } = &args.reaction;
        let human = format!("Reaction :{emoji}: already exists on {comment} (idempotent).");
        let snapshot = Value::Object(reacting.txn.snapshot().0.clone());
        return session.out.answer(snapshot, "ok", human);
    }
    args.reaction.commit(session, reacting, REACTION_ADDED, "added to")
}
