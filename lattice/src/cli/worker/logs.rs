//! `lattice worker logs`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {}

pub(crate) fn logs(_session: &Session, _args: &LogsArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
