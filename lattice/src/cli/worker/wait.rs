//! `lattice worker wait`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {}

pub(crate) fn wait(_session: &Session, _args: &WaitArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
