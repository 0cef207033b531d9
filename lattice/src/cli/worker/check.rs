//! `lattice worker check`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::bounded::Bounded;
use lattice::runs::check::{Checked, Line, State, machine, workers};
use lattice::storage::definitions;

use crate::cli::out::Form;
use crate::cli::progress::Progress;
use crate::cli::runs::context;
use crate::cli::session::Session;
use crate::render;

/// Look for everything that would stop a worker, without starting it
///
/// The definition, the program and its version, whether it knows our flags (its --help says), the prompt and its
/// placeholders at HEAD, whether a login can be seen, what the engine refuses to work in, the supervisor, git, disk
/// and locks, and services that end what they have started. No model is run, and nothing is made or changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker check
  lattice worker check Review && lattice worker run Review LAT-42
  lattice worker check --quiet                 the names of those that would start
  lattice worker check --json | jq -r '.data.workers[].checks[] | select(.state == \"stops\") | .message'

States: ok; doubtful: it would start, and may not do what you think; unknown: only a run can tell;
stops: no run would start, or none would come far. With one that stops the exit status is 1.")]
pub(crate) struct CheckArgs {
    /// The worker's name, in any case [default: every worker]
    name: Option<String>,
}

pub(crate) fn check(session: &Session, args: &CheckArgs) -> Result<()> {
    let layout = session.layout()?;
    let ctx = context(session, &layout);
    let only = match &args.name {
        Some(name) => Some(definitions::by_name(&layout, name)?.path),
        None => None,
    };
    let progress = Progress::new(session, "asking programs for their versions");
    let found = definitions::all(&layout)?;
    let machine = machine(&ctx, &mut Bounded);
    let wanted = |one: &definitions::Found| only.as_ref().is_none_or(|path| *path == one.path);
    let checked = workers(&ctx, &found, wanted, &mut Bounded);
    drop(progress);
    let is_stopped = machine.iter().any(|line| line.state == State::Stops);
    let start = |worker: &&Checked| !is_stopped && worker.starts();
    match session.out.form() {
        Form::Json => session.out.data(json!({
            "project": machine.iter().map(line_as_json).collect::<Vec<_>>(),
            "workers": checked.iter().map(|worker| as_json(worker, start(&worker))).collect::<Vec<_>>(),
        }))?,
        Form::Quiet => checked
            .iter()
            .filter(start)
            .try_for_each(|worker| session.out.line(&worker.worker))?,
        Form::Human => {
            let root = layout.root.display().to_string();
            session.out.line(render::check::page(&root, &machine, &checked, session.out.paint))?;
        }
    }
    let stopped = checked.iter().filter(|worker| !start(worker)).count();
    if stopped == 0 && !is_stopped {
        return Ok(());
    }
    session.out.answered();
    Err(Failure::new(Code::ValidationError, format!("{stopped} workers would not start")))
}

fn as_json(worker: &Checked, starts: bool) -> Value {
    json!({
        "worker": worker.worker,
        "path": worker.path,
        "starts": starts,
        "checks": worker.lines.iter().map(line_as_json).collect::<Vec<_>>(),
    })
}

fn line_as_json(line: &Line) -> Value {
    json!({"check": line.what, "state": line.state.word(), "message": line.says, "hint": line.hint})
}
