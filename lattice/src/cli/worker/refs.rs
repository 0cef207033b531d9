//! `lattice worker refs`

use std::time::SystemTime;

use clap::Args;
use serde_json::json;

use lattice::git::refs::{self, RunRef};
use lattice::git::repository;
use lattice::model::failure::Result;
use lattice::model::time;
use lattice::process::bounded::Bounded;
use lattice::runs::history::{self, Known};

use crate::cli::out::Form;
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::cli::terminal::stdout_size;
use crate::render::clock::short;
use crate::render::event::one_line;
use crate::render::paint::Paint;
use crate::render::table::{self, Cell};
use crate::render::worker::suffix;

const HEADINGS: [&str; 6] = ["TASK", "WORKER", "AGE", "RUN", "COMMIT", "REF"];

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
        Form::Human => {
            let cells: Vec<Vec<Cell>> = rows.map(|(found, name)| row(found, name)).collect();
            let width = stdout_size().map(|size| size.columns);
            let lines = table::lines(&HEADINGS, &cells, width, session.out.paint);
            lines.iter().try_for_each(|line| session.out.line(line))
        }
    }
}

fn row(found: &RunRef, known: Option<&Known>) -> Vec<Cell> {
    let age = SystemTime::now().duration_since(found.committed_at).unwrap_or_default();
    let (task, worker) = known.map_or(("?", "?"), |known| (task(known), known.worker.as_str()));
    vec![
        Cell::painted(one_line(task), Paint::heading),
        Cell::new(one_line(worker)),
        Cell::new(short(age)),
        Cell::painted(suffix(found.run.as_str()), Paint::heading),
        Cell::new(found.commit.get(..8).unwrap_or(&found.commit)),
        Cell::new(&found.name),
    ]
}

fn task(known: &Known) -> &str {
    known.short_id.as_deref().unwrap_or(known.task.as_str())
}
