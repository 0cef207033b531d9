//! `lattice worker schema`

use clap::Args;

use lattice::model::definition::schema;
use lattice::model::failure::Result;

use crate::cli::session::Session;

/// Print the JSON Schema of worker definitions
///
/// An editor that knows it completes the keys of a definition, explains them, and marks what a run would refuse.
/// `worker new` and `worker add` put it into workers/.schema.json, where the definitions that they write look for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker schema > workers/.schema.json

and in a definition beside it:
  {\"$schema\": \"./.schema.json\", \"name\": \"Review\", ...}")]
pub(crate) struct SchemaArgs {}

pub(crate) fn schema(session: &Session, _args: &SchemaArgs) -> Result<()> {
    if session.out.is_json() {
        session.out.data(schema::schema())
    } else {
        session.out.bytes(schema::text().as_bytes())
    }
}
