//! `lattice unlink`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::event::RELATIONSHIP_REMOVED;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::relationship::has_relationship;

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::link::RelationArgs;
use super::session::Session;

/// Take back what `link` said
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice unlink LAT-42 blocks LAT-43 --actor human:ana")]
pub(crate) struct UnlinkArgs {
    #[command(flatten)]
    relation: RelationArgs,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn unlink(session: &Session, args: &UnlinkArgs) -> Result<()> {
    let change = Change::new(session, &args.write)?;
    let (task, kind, target) = args.relation.parts(&change)?;
    let txn = change.begin(&task)?;
    if !has_relationship(txn.snapshot(), &kind, target.as_str()) {
        let id = txn.snapshot().display_id();
        let message = format!("{id} has no relationship {kind} to {target}");
        return Err(Failure::new(Code::NotFound, message)
            .hint(format!("lattice show {id}    (names its relationships)")));
    }
    let data = json!({"type": kind, "target_task_id": target.as_str()});
    let event = change.author.event(RELATIONSHIP_REMOVED, &task, now(), data);
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Unlinked {task} --[{kind}]--> {target}");
    session.out.answer(Value::Object(snapshot.0), &task, human)
}
