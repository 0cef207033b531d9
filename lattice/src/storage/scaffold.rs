//! Laying out a new `.lattice/`, or completing one that an interrupted `init` or a clone left. Replaces nothing.

use std::io::ErrorKind;
use std::path::Path;

use fs_err::OpenOptions;
use serde_json::json;

use super::gitfiles;
use super::layout::Layout;
use super::replace::publish_exclusive;
use crate::model::config::Config;
use crate::model::failure::Result;
use crate::model::json;

/// Everything but the configuration; `true` if a file was missing. `context` is the text for `context.md`.
pub fn complete(layout: &Layout, config: &Config, context: &str) -> Result<bool> {
    layout.ensure_dirs()?;
    // The Python tool's own places.
    for dir in ["resources", "sessions/archive"] {
        fs_err::create_dir_all(layout.dir.join(dir))?;
    }
    // Like all logs it has the mode that the umask gives.
    OpenOptions::new().append(true).create(true).open(layout.lifecycle_log())?;
    let mut was_missing = gitfiles::ensure(layout)?;
    if config.project_code().is_some() {
        let ids = json!({"map": {}, "next_seqs": {}, "schema_version": 2});
        was_missing |= publish(&layout.ids(), json::pretty(&ids).as_bytes())?;
    }
    was_missing |= publish(&layout.dir.join("context.md"), context.as_bytes())?;
    Ok(was_missing)
}

/// Writes the configuration; `false` if there is one already. It comes last: as long as it is missing, the next
/// `init` goes on where this one was killed.
pub fn publish_config(layout: &Layout, config: &Config) -> Result<bool> {
    publish(&layout.config(), config.file_text().as_bytes())
}

fn publish(path: &Path, bytes: &[u8]) -> Result<bool> {
    match publish_exclusive(path, bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}
