//! `lattice worker ps`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct PsArgs {}

pub(crate) fn ps(_session: &Session, _args: &PsArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
