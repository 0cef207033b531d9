//! `lattice worker stop`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct StopArgs {}

pub(crate) fn stop(_session: &Session, _args: &StopArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
