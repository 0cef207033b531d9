//! `lattice worker diff`

use std::process::{Command, Stdio};

use clap::Args;
use serde_json::{Value, json};

use lattice::git::command::{self, git};
use lattice::git::replay::Work;
use lattice::git::repository::Repository;
use lattice::git::salvage::preserved_ref;
use lattice::model::failure::{Code, Failure, Result};
use lattice::process::bounded::Bounded;
use lattice::runs::query::View;

use super::left::left;
use crate::cli::out::Form;
use crate::cli::session::Session;

/// Show what a run has changed
///
/// Everything between the commit that it began with and what it left: its commits, and what it had not committed,
/// new files included.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker diff 7QK3ZD
  lattice worker diff LAT-42 --stat
  lattice worker diff 7QK3ZD | git apply -    or better: lattice worker apply 7QK3ZD")]
pub(crate) struct DiffArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its open run, else its newest
    #[arg(value_name = "RUN|TASK")]
    target: String,
    /// Only which files, and how much
    #[arg(long)]
    stat: bool,
}

pub(crate) fn diff(session: &Session, args: &DiffArgs) -> Result<()> {
    let (_, view, found) = left(session, &args.target)?;
    let run = &view.run;
    match (session.out.form(), &found.work) {
        (Form::Json, work) => {
            let data = as_json(&view, &found.repository, work.as_ref(), args.stat)?;
            session.out.data(data)
        }
        (_, None) => session.out.line(format_args!("{run} left nothing to save.")),
        (Form::Quiet, Some(work)) => {
            let git = between(&found.repository, work, &["--name-only", "--no-renames"]);
            session.out.bytes(&command::checked(&mut Bounded, git, None, "cannot compare")?)
        }
        (Form::Human, Some(work)) => show(session, &found.repository, work, args.stat),
    }
}

/// Git writes to our own standard output: a diff may be larger than any memory.
fn show(session: &Session, repository: &Repository, work: &Work, stat: bool) -> Result<()> {
    session.out.flush()?;
    let colour = if session.out.paint.on { "--color=always" } else { "--color=never" };
    let shape: &[&str] = match (stat, session.caller.stdout_is_tty) {
        (true, _) => &[colour, "--stat"],
        (false, true) => &[colour],
        // For a program that is to make the same of it.
        (false, false) => &[colour, "--binary", "--full-index"],
    };
    let mut git = between(repository, work, shape);
    git.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    // One job with us: Ctrl-C reaches git itself, and the terminal takes its words (`stty tostop`).
    let watch = session.interrupts.watch()?;
    let status = git.status().map_err(|error| Failure::io("failed to execute `git`", error))?;
    match (watch.interrupted(), status.code()) {
        (true, _) => Err(Failure::new(Code::Interrupted, "interrupted")),
        // None: the reader went away.
        (_, Some(0) | None) => Ok(()),
        _ => Err(Failure::new(Code::GitError, "git could not show the difference")
            .hint(format!("git diff {} {}", work.base, work.target))),
    }
}

/// As every git shows it, whatever the user has configured as a viewer.
fn between(repository: &Repository, work: &Work, options: &[&str]) -> Command {
    let mut git = git(&repository.top);
    git.args(["diff", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"]);
    git.args(options).args([&work.base, &work.target, "--"]);
    git
}

fn as_json(view: &View, repository: &Repository, work: Option<&Work>, stat: bool) -> Result<Value> {
    let base = view.started.data().get("commit_sha");
    let Some(work) = work else {
        return Ok(
            json!({"run": view.run.as_str(), "base": base, "ref": null, "commit": null, "files": []}),
        );
    };
    let ask = |options: &[&str]| {
        command::checked(&mut Bounded, between(repository, work, options), None, "cannot compare")
    };
    let mut data = json!({
        "run": view.run.as_str(),
        "base": work.base,
        "ref": preserved_ref(&view.run),
        "commit": work.target,
        "files": files(&ask(&["--numstat", "--no-renames", "-z"])?),
    });
    if !stat {
        let patch = ask(&["--binary", "--full-index"])?;
        data["patch"] = String::from_utf8_lossy(&patch).into();
    }
    Ok(data)
}

/// `ADDED TAB DELETED TAB PATH` each; `-` for both where the file is binary.
fn files(numstat: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(numstat);
    let row = |line: &str| {
        let mut fields = line.splitn(3, '\t');
        let mut count = || fields.next().and_then(|field| field.parse::<u64>().ok());
        let (added, deleted) = (count(), count());
        Some(json!({"path": fields.next()?, "added": added, "deleted": deleted}))
    };
    text.split('\0').filter_map(row).collect()
}
