//! `lattice branch-link`

use clap::Args;
use serde_json::Value;

use lattice::model::event::BRANCH_LINKED;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::relationship::{check_branch, has_branch};

use super::change::Change;
use super::identity::{WriteArgs, now};
use super::session::Session;

/// Say on which git branch a task is worked on
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice branch-link LAT-42 fix/last-line --actor human:ana
  lattice branch-link LAT-42 main --repo docs --actor human:ana")]
pub(crate) struct BranchLinkArgs {
    #[command(flatten)]
    pub(crate) branch: BranchArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// What both commands about branches are given.
#[derive(Debug, Args)]
pub(crate) struct BranchArgs {
    /// Short ID (LAT-42) or full ID of the task
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// Name of the branch; it need not exist
    #[arg(value_name = "BRANCH", allow_hyphen_values = true)]
    pub(crate) branch: String,
    /// The repository, if it is not this one
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
}

impl BranchArgs {
    pub(crate) fn repo(&self) -> Option<&str> {
        self.repo.as_deref().filter(|repo| !repo.trim().is_empty())
    }

    /// `'main' (repo: docs)`
    pub(crate) fn words(&self) -> String {
        let repo = self.repo().map_or_else(String::new, |repo| format!(" (repo: {repo})"));
        format!("'{}'{repo}", self.branch)
    }

    pub(crate) fn data(&self) -> Value {
        let repo = self.repo().map(|repo| ("repo", repo));
        [("branch", self.branch.as_str())]
            .into_iter()
            .chain(repo)
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect()
    }
}

pub(crate) fn branch_link(session: &Session, args: &BranchLinkArgs) -> Result<()> {
    let branch = &args.branch;
    check_branch(&branch.branch)?;
    let change = Change::new(session, &args.write)?;
    let task = change.task(&branch.task)?;
    let txn = change.begin(&task)?;
    if has_branch(txn.snapshot(), &branch.branch, branch.repo()) {
        let id = txn.snapshot().display_id();
        let message = format!("the branch {} is linked to {id} already", branch.words());
        return Err(Failure::new(Code::Conflict, message)
            .hint(format!("lattice show {id}    (names its branches)")));
    }
    let event = change.author.event(BRANCH_LINKED, &task, now(), branch.data());
    let snapshot = change.commit(txn, &[event])?;
    let human = format!("Linked branch {} to {task}", branch.words());
    session.out.answer(Value::Object(snapshot.0), &task, human)
}
