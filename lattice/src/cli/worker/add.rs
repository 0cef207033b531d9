//! `lattice worker add`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::definition::parse;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::shipped::{self, Shipped, WORKERS};

use super::lay::lay;
use crate::cli::out::Form;
use crate::cli::session::Session;

/// Copy a worker that comes with Lattice into the project
///
/// Its definition, its prompts and its scripts become files of yours, to be committed and changed as you like. What is
/// there already is kept: a file with another content refuses all of it, unless --force says to replace it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker add                      which there are
  lattice worker add CodeReviewLite
  lattice worker add TripleThreatReview --force")]
pub(crate) struct AddArgs {
    /// One of the workers that come with Lattice, in any case
    #[arg(value_name = "SHIPPED")]
    name: Option<String>,
    /// Replace files that are there with another content
    #[arg(long, requires = "name")]
    force: bool,
}

pub(crate) fn add(session: &Session, args: &AddArgs) -> Result<()> {
    let Some(name) = &args.name else { return list(session) };
    let layout = session.layout()?;
    let worker = shipped::by_name(name).ok_or_else(|| unknown(name))?;
    lay(session, &layout, worker.name, worker.files, args.force)
}

fn unknown(name: &str) -> Failure {
    let names: Vec<&str> = WORKERS.iter().map(|worker| worker.name).collect();
    let message = format!("no worker {name:?} comes with Lattice; there are {}", names.join(", "));
    Failure::new(Code::NotFound, message)
        .hint("lattice worker add, or make your own: lattice worker new NAME --engine ENGINE")
}

fn list(session: &Session) -> Result<()> {
    match session.out.form() {
        Form::Json => session.out.data(WORKERS.iter().map(as_json).collect()),
        Form::Quiet => WORKERS.iter().try_for_each(|worker| session.out.line(worker.name)),
        Form::Human => WORKERS.iter().try_for_each(|worker| {
            session.out.line(format_args!("  {:<20}  {}", worker.name, description(worker)))
        }),
    }
}

fn as_json(worker: &Shipped) -> Value {
    let paths: Vec<&str> = worker.files.iter().map(|file| &*file.path).collect();
    json!({"name": worker.name, "description": description(worker), "files": paths})
}

fn description(worker: &Shipped) -> String {
    let definition = worker.files.last().and_then(|file| parse(file.text.as_bytes()).ok());
    definition.map(|definition| definition.description).unwrap_or_default()
}
