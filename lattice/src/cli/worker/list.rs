//! `lattice worker list`

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::Result;
use lattice::storage::definitions::{self, Found};

use crate::cli::out::Form;
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render;

/// List the workers that are defined in workers/*.json
///
/// Broken definitions are listed with what is wrong with them; that is no failure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker list
  lattice worker list --json | jq -r '.data[] | select(.valid | not) | .path, .problems[]'

A definition is a JSON object in a file such as workers/review.json:
  {\"name\": \"Review\", \"engine\": \"script\", \"command\": \"./scripts/review.sh\",
   \"worktree\": true, \"timeout_minutes\": 20}")]
pub(crate) struct ListArgs {}

pub(crate) fn list(session: &Session, _args: &ListArgs) -> Result<()> {
    let layout = session.layout()?;
    reap_dead(session, &context(session, &layout));
    let found = definitions::all(&layout)?;
    match session.out.form() {
        Form::Json => session.out.data(found.iter().map(as_json).collect()),
        Form::Quiet => {
            let names = found.iter().filter_map(|found| Some(&found.result.as_ref().ok()?.name));
            names.into_iter().try_for_each(|name| session.out.line(name))
        }
        Form::Human if found.is_empty() && !layout.definitions().is_dir() => {
            session.out.line("No workers/ directory found at project root.")
        }
        Form::Human if found.is_empty() => {
            session.out.line("No worker definitions found in workers/.")
        }
        Form::Human => found.iter().try_for_each(|found| {
            session.out.line(render::worker::definition(found, session.out.paint))
        }),
    }
}

/// A broken definition has all keys too, so that a reader needs no second way.
fn as_json(found: &Found) -> Value {
    let path = found.path.display().to_string();
    match &found.result {
        Ok(definition) => json!({
            "name": definition.name,
            "description": definition.description,
            "engine": definition.engine.name(),
            "timeout_minutes": render::worker::minutes(definition.timeout),
            "worktree": definition.worktree,
            "actor": definition.actor,
            "path": path,
            "valid": true,
            "problems": [],
        }),
        Err(problems) => json!({
                "name": found.name(),
                "description": null,
                "engine": null,
                "timeout_minutes": null,
                "worktree": null,
                "actor": null,
                "path": path,
                "valid": false,
                "problems": problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    }
}
