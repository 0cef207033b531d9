//! `lattice worker refs`

use std::time::SystemTime;

use clap::Args;
use serde_json::json;

use lattice::git::{refs, repository};
use lattice::model::failure::Result;
use lattice::model::time;
use lattice::process::bounded::Bounded;
use lattice::runs::history::{self, Known};

use crate::cli::out::Form;
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render::worker::suffix;

/// List the git refs under which runs have left work
///
/// Git keeps what they name until `lattice worker prune --refs` or `git update-ref -d REF`. They are not pushed,
/// unless you say so: git push REMOTE 'refs/lattice/runs/*'.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker refs
  lattice worker refs --quiet | xargs -n 1 git log -1 --stat")]
pub(crate) struct RefsArgs {}

pub(crate) fn refs(session: &Session, _args: &RefsArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    reap_dead(session, &ctx);
    let found = match repository::discover(&ctx.layout.root)? {
        Some(repository) => refs::list(&mut Bounded, &repository.top)?,
        None => Vec::new(),
    };
    let names = history::all(&ctx.layout)?;
    let rows = found.iter().map(|found| (found, names.get(&found.run)));
    match session.out.form() {
        Form::Json => session.out.data(
            rows.map(|(found, name)| {
                json!({
                    "ref": found.name,
                    "run": found.run.as_str(),
                    "commit": found.commit,
                    "task_id": name.map(|name| name.task.as_str()),
                    "short_id": name.and_then(|name| name.short_id.as_deref()),
                    "worker": name.map(|name| &name.worker),
                    "committed_at": time::timestamp(found.committed_at),
                })
            })
            .collect(),
        ),
        Form::Quiet => found.iter().try_for_each(|found| session.out.line(&found.name)),
        Form::Human if found.is_empty() => session.out.line("No refs of runs."),
        Form::Human => rows.into_iter().try_for_each(|(found, name)| {
            let (run, age) = (suffix(found.run.as_str()), age(found.committed_at));
            let commit = found.commit.get(..8).unwrap_or(&found.commit);
            let (task, worker) = name.map_or(("?", "?"), |name| (task(name), &name.worker));
            session.out.line(format_args!(
                "  {run}  {task:<12} {worker:<25} {commit}  {age:<8}  {}",
                found.name
            ))
        }),
    }
}

fn age(then: SystemTime) -> String {
    let seconds = SystemTime::now().duration_since(then).unwrap_or_default().as_secs();
    match (seconds / 86400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, _) => format!("{hours}h"),
        (days, _, _) => format!("{days}d"),
    }
}

fn task(known: &Known) -> &str {
    known.short_id.as_deref().unwrap_or(known.task.as_str())
}
