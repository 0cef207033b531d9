//! `lattice worker apply`

use clap::Args;
use serde_json::json;

use lattice::model::failure::Result;
use lattice::process::bounded::Bounded;
use lattice::runs::work::{self, Applied};

use super::left::left;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::render::plural::count;

/// Bring a run's work onto the current branch
///
/// Its commits are picked one after the other; what it had not committed becomes changes in your working tree, not
/// staged. Your own changes stay, as long as they are in other files. If anything is in the way, nothing at all is
/// changed. What is on the branch already is not applied twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker diff 7QK3ZD --stat && lattice worker apply 7QK3ZD
  lattice worker apply LAT-42")]
pub(crate) struct ApplyArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its newest run
    #[arg(value_name = "RUN|TASK")]
    target: String,
}

pub(crate) fn apply(session: &Session, args: &ApplyArgs) -> Result<()> {
    let (ctx, view, found) = left(session, &args.target)?;
    let run = &view.run;
    let Some(work) = found.work else {
        let data = json!({"run": run.as_str(), "branch": found.repository.branch(), "head": null,
            "commits": [], "skipped": 0, "files": []});
        return session.out.answer(data, "", format_args!("{run} left nothing to apply."));
    };
    let progress = Progress::new(session, format!("applying the work of {run}"));
    let applied = work::apply(&ctx, &view, &found.repository, &work, &mut Bounded)?;
    drop(progress);
    let files: Vec<String> =
        applied.uncommitted.iter().map(|path| path.display().to_string()).collect();
    let data = json!({
        "run": run.as_str(),
        "branch": applied.branch,
        "head": applied.tip,
        "commits": applied.picked,
        "skipped": applied.skipped,
        "files": files,
    });
    session.out.answer(data, &applied.tip, words(&applied))
}

fn words(applied: &Applied) -> String {
    let place = applied.branch.as_deref().unwrap_or("the detached HEAD");
    let tip = applied.tip.get(..8).unwrap_or(&applied.tip);
    let mut parts = Vec::new();
    if !applied.picked.is_empty() {
        parts.push(format!("{} onto {place} (now {tip})", count(applied.picked.len(), "commit")));
    }
    if !applied.uncommitted.is_empty() {
        parts.push(format!("uncommitted changes in {}", count(applied.uncommitted.len(), "file")));
    }
    let mut words = match &parts[..] {
        [] => format!("Nothing to apply: all of it is on {place} already"),
        parts => format!("Applied {}", parts.join(", and ")),
    };
    if applied.skipped > 0 && !parts.is_empty() {
        words = format!("{words}; {} on {place} already", count(applied.skipped, "commit"));
    }
    words + "."
}
