//! `lattice man`: the manual pages, from the same words as `--help`.

use std::path::PathBuf;

use clap::Args;

use lattice::model::failure::{Failure, Result};

use super::session::Session;

/// Write the manual pages into a directory
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Such as ~/.local/share/man/man1
    directory: PathBuf,
}

pub(crate) fn man(session: &Session, args: &ManArgs, command: clap::Command) -> Result<()> {
    let directory = session.caller.cwd()?.join(&args.directory);
    fs_err::create_dir_all(&directory)?;
    clap_mangen::generate_to(command, &directory).map_err(|error| {
        Failure::io(format_args!("cannot write into {}", directory.display()), error)
    })
}
