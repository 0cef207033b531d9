//! `lattice worker run`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {}

pub(crate) fn run(_session: &Session, _args: &RunArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
