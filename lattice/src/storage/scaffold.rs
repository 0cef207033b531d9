//! Laying out a new `.lattice/`, or completing one that an interrupted `init` or a clone left. Replaces nothing.

use std::io::ErrorKind;
use std::path::Path;

use super::config_file;
use super::gitfiles;
use super::layout::Layout;
use super::lock;
use super::owner;
use super::replace::publish_exclusive;
use super::task::short_ids;
use crate::model::config::Config;
use crate::model::failure::Result;
use fs_err::OpenOptions;

/// Everything but the configuration; `true` if a file was missing. `context` is the text for `context.md`.
pub fn complete(layout: &Layout, config: &Config, context: &str) -> Result<bool> {
    layout.ensure_dirs()?;
    // The Python tool's own places.
    for dir in ["resources", "sessions/archive"] {
        owner::make_dirs(&layout.dir.join(dir), 0o777)?;
    }
    // Like all logs it has the mode that the umask gives.
    let log = OpenOptions::new().append(true).create(true).open(layout.lifecycle_log())?;
    owner::inherit(log.file(), &layout.lifecycle_log());
    let mut was_missing = gitfiles::ensure(layout)?;
    was_missing |= ensure_ids(layout, config)?;
    was_missing |= publish(&layout.dir.join("context.md"), context.as_bytes())?;
    Ok(was_missing)
}

/// An index of short IDs, where there is a project code for them; `true` if it was missing.
pub fn ensure_ids(layout: &Layout, config: &Config) -> Result<bool> {
    Ok(config.project_code().is_some() && short_ids::ensure(layout)?)
}

/// Writes the configuration; `false` if there is one already. It comes last, behind what `before` makes: as long as it
/// is missing, the next `init` goes on where this one was killed.
pub fn publish_config(
    layout: &Layout,
    config: &Config,
    before: impl FnOnce() -> Result<()>,
) -> Result<bool> {
    let _locks = lock::acquire(layout, &[config_file::KEY.to_owned()])?;
    if fs_err::symlink_metadata(layout.config()).is_ok() {
        return Ok(false);
    }
    before()?;
    publish(&layout.config(), config.file_text().as_bytes())
}

fn publish(path: &Path, bytes: &[u8]) -> Result<bool> {
    match publish_exclusive(path, bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}
