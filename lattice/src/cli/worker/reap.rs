//! `lattice worker reap`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ReapArgs {}

pub(crate) fn reap(_session: &Session, _args: &ReapArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
