//! `lattice backfill-ids`

use clap::Args;
use serde_json::json;

use lattice::model::event::Author;
use lattice::model::failure::{Code, Failure, Result};
use lattice::storage::task::{backfill, read_config};
use lattice::storage::{layout::Layout, scaffold};

use super::codes::{self, PROJECT};
use super::identity::{checked_actor, now};
use super::session::Session;

/// Give a short ID to every task that has none
///
/// Archived tasks too. Of two tasks that a merge has given the same short ID, the newer one gets another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice backfill-ids
  lattice backfill-ids --code LAT --actor human:ana")]
pub(crate) struct BackfillIdsArgs {
    /// Set the project code first
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// With --code: replace a code that is set already
    #[arg(long)]
    force: bool,
    /// Who acts
    #[arg(long, default_value = "agent:lattice-migration")]
    actor: String,
}

pub(crate) fn backfill_ids(session: &Session, args: &BackfillIdsArgs) -> Result<()> {
    let layout = session.layout()?;
    let author = Author::new(checked_actor(&args.actor)?);
    let prefix = prefix(&layout, args)?;
    let (given, unreadable) = backfill::give_ids(&layout, &prefix, &author, &now)?;
    let all = if unreadable.is_empty() { "All tasks" } else { "All tasks that can be read" };
    session.out.warn_all(unreadable);
    match &given[..] {
        [] => {
            let message = format!("{all} already have short IDs");
            session.out.answer(
                json!({"assigned": 0, "message": message}),
                0,
                format_args!("{message}."),
            )
        }
        [first, .., last] => {
            let (count, done) = (
                given.len(),
                format!("Assigned {first} through {last} to {} existing tasks.", given.len()),
            );
            session.out.answer(
                json!({"assigned": count, "first": first, "last": last}),
                count,
                done,
            )
        }
        [only] => {
            let data = json!({"assigned": 1, "first": only, "last": only});
            session.out.answer(data, 1, format_args!("Assigned {only} to 1 existing task."))
        }
    }
}

fn prefix(layout: &Layout, args: &BackfillIdsArgs) -> Result<String> {
    let config = match &args.code {
        Some(text) => {
            let code = codes::checked("project code", text)?;
            codes::change(layout, &PROJECT, &code, args.force, &mut None)?
        }
        None => read_config(layout)?,
    };
    scaffold::ensure_ids(layout, &config)?;
    config.short_id_prefix().ok_or_else(|| {
        Failure::new(Code::ValidationError, "the project has no code, so tasks have no short IDs")
            .hint("lattice backfill-ids --code CODE, for example --code LAT")
    })
}
