//! `lattice branch-unlink`

use clap::Args;
use serde_json::Value;

use lattice::model::event::BRANCH_UNLINKED;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::relationship::{check_branch, has_branch};

use super::branch_link::BranchArgs;
use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Take back what `branch-link` said
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice branch-unlink LAT-42 fix/last-line --actor human:ana")]
pub(crate) struct BranchUnlinkArgs {
    #[command(flatten)]
    branch: BranchArgs,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn branch_unlink(session: &Session, args: &BranchUnlinkArgs) -> Result<()> {
    let branch = &args.branch;
    check_branch(&branch.branch)?;
    let change = Change::new(session, &args.write)?;
    let task = change.task(&branch.task)?;
    let txn = change.begin(&task)?;
    if !has_branch(txn.snapshot(), &branch.branch, branch.repo()) {
        let id = txn.snapshot().display_id();
        let message = format!("the branch {} is not linked to {id}", branch.words());
        return Err(Failure::new(Code::NotFound, message)
            .hint(format!("lattice show {id}    (names its branches)")));
    }
    let event = change.author.event(BRANCH_UNLINKED, &task, now(), branch.data());
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Unlinked branch {} from {task}", branch.words());
    session.out.answer(Value::Object(snapshot.0), &task, human)
}
