//! `lattice worker list`

use clap::Args;

use lattice::model::failure::{Failure, Result};

use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

pub(crate) fn list(_session: &Session, _args: &ListArgs) -> Result<()> {
    Err(Failure::internal("not there yet"))
}
