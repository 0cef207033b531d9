//! `lattice unreact`

use clap::Args;

use lattice::model::event::REACTION_REMOVED;
use lattice::model::failure::{Code, Failure, Result};

use super::identity::WriteArgs;
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
    let reacting = args.reaction.begin(session, &args.write)?;
    if reacting.is_there {
        return args.reaction.commit(session, reacting, REACTION_REMOVED, "removed from");
    }
    let ReactionArgs { comment, emoji, .. } = &args.reaction;
    let who = &reacting.change.author.actor;
    let message = format!("there is no reaction :{emoji}: by {who} on {comment}");
    let id = reacting.txn.snapshot().display_id();
    Err(Failure::new(Code::NotFound, message)
        .hint(format!("lattice comments {id}    (names all reactions)")))
}
