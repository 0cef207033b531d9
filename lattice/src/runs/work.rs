//! What a run has made, looked up for a person who wants it back. Changes nothing but through [`apply`].

use std::path::PathBuf;

use super::context::Context;
use super::query::View;
use super::start::variable;
use crate::git::landing::{self, Checkout};
use crate::git::replay::{self, Replayed, Work};
use crate::git::repository::{self, Repository};
use crate::git::salvage::preserved_ref;
use crate::model::failure::{Code, Failure, Result};
use crate::model::terminal;
use crate::process::helper::Helpers;

const COMMITTER: [&str; 2] = ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];

/// The work of an ended run.
pub struct Found {
    pub repository: Repository,
    /// `None`: it left nothing that was saved.
    pub work: Option<Work>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// What was brought into the checkout.
pub struct Applied {
    /// The branch, or `None` where HEAD is detached.
    pub branch: Option<String>,
    pub tip: String,
    pub picked: Vec<String>,
    pub skipped: usize,
    /// Paths, from the top, of what the run had not committed.
    pub uncommitted: Vec<PathBuf>,
}

pub fn find(ctx: &Context, view: &View, helpers: &mut dyn Helpers) -> Result<Found> {
    let run = &view.run;
    let Some(ended) = &view.ended else {
        let message = format!("{run} has not ended, and what it makes is saved at its end");
        return Err(
            Failure::new(Code::StillRunning, message).hint(format!("lattice worker wait {run}"))
        );
    };
    let text = |key: &str| view.started.data().get(key).and_then(|value| value.as_str());
    if view.started.data().get("worktree").and_then(serde_json::Value::as_bool) == Some(false) {
        let message = format!("{run} worked in place: what it changed is in the project itself");
        return Err(Failure::new(Code::NotFound, message).hint("git status"));
    }
    let repository = repository::discover(&ctx.layout.root)?.ok_or_else(|| {
        let message = format!("{} is in no git repository", ctx.layout.root.display());
        Failure::new(Code::GitError, message).hint("go to the checkout in which the run began")
    })?;
    let base = text("commit_sha").unwrap_or_default();
    let work = replay::find(helpers, &repository, run, base)?;
    if work.is_none() && ended.data().contains_key("preserved_ref") {
        let message = format!("{} is not here any more, or never was", preserved_ref(run));
        return Err(Failure::new(Code::NotFound, message).hint(
            "fetch it from where the run was: git fetch URL 'refs/lattice/*:refs/lattice/*'",
        ));
    }
    let mut notes = Vec::new();
    if let Some(path) = terminal::kept_worktree(ended) {
        notes.push(format!("not everything could be saved: {} was kept", path.display()));
    }
    for commit in work.iter().flat_map(|work| &work.left_behind) {
        notes.push(format!(
            "it left a line of commits behind, which is not in this: git log {commit}"
        ));
    }
    Ok(Found { repository, work, notes })
}

/// Brings the work onto the current branch. A refusal has changed nothing.
pub fn apply(
    ctx: &Context,
    view: &View,
    repository: &Repository,
    work: &Work,
    helpers: &mut dyn Helpers,
) -> Result<Applied> {
    let head = repository.preflight(helpers, "HEAD", &[])?.commit_sha;
    let identity: Vec<_> =
        COMMITTER.into_iter().filter_map(|name| Some((name, variable(ctx, name)?))).collect();
    let replayed = replay::replay(helpers, repository, work, &head, &identity)?;
    let checkout = Checkout {
        repository,
        head: &head,
        forbidden: &repository.prefix.join(".lattice"),
        reason: &format!("lattice worker apply: {}", view.run),
    };
    let uncommitted = landing::land(helpers, &checkout, &replayed)?;
    let Replayed { tip, picked, skipped, .. } = replayed;
    Ok(Applied { branch: repository.branch(), tip, picked, skipped, uncommitted })
}
