//! `lattice worker show`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {}

pub(crate) fn show(_session: &Session, _args: &ShowArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
