//! E2: the record is published, whole or not at all, by link(2), which never replaces one that is there.
//!
//! Its blocks were reserved at the start of the run, so a full disk cannot prevent it. A reserve is claimed by a
//! rename and written once: one that an ender has touched may be the very inode that it has linked into place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::controls::{self, Control};
use crate::model::event::Event;
use crate::model::failure::{Failure, Result};
use crate::model::ids::new_ulid;
use crate::runs::directory::{RESERVE_PREFIX, RunDir};
use crate::storage::replace;

const CLAIMED_PREFIX: &str = ".claimed-";

/// The record that somebody has published, if any.
pub(super) fn published(run: &RunDir) -> Result<Option<Event>> {
    match fs_err::read(run.terminal()) {
        Ok(line) => parse(run, &line).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Publishes `event`, or gives the one that was there first. A directory that somebody has deleted is no
/// obstacle: the check under the task's locks is then the only guard, and it is enough.
pub(super) fn publish(run: &RunDir, event: Event) -> Result<Event> {
    if !run.exists() {
        return Ok(event);
    }
    let draft = draft(run, event.line().as_bytes())?;
    if controls::is(Control::Replace) {
        fs_err::rename(&draft, run.terminal())?;
        return Ok(published(run)?.unwrap_or(event));
    }
    match fs_err::hard_link(&draft, run.terminal()) {
        Ok(()) => replace::sync_dir(run.path())?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(_) => rename_without_replacing(&draft, &run.terminal())?,
    }
    Ok(published(run)?.unwrap_or(event))
}

/// For file systems without hard links (vfat, exfat, some FUSE): renameat2(2), RENAME_NOREPLACE.
fn rename_without_replacing(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(Failure::io(format_args!("failed to publish `{}`", to.display()), error)),
    }
}

fn draft(run: &RunDir, line: &[u8]) -> Result<PathBuf> {
    let claimed = run.file(&format!("{CLAIMED_PREFIX}{}", new_ulid()));
    let mut file = if let Some(reserve) = reserve(run)? {
        fs_err::rename(reserve, &claimed)?;
        fs_err::OpenOptions::new().write(true).open(&claimed)?
    } else {
        fs_err::OpenOptions::new().write(true).create_new(true).open(&claimed)?
    };
    file.write_all(line)?;
    file.set_len(line.len() as u64)?;
    file.sync_all()?;
    Ok(claimed)
}

fn reserve(run: &RunDir) -> Result<Option<PathBuf>> {
    for entry in fs_err::read_dir(run.path())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(RESERVE_PREFIX)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn parse(run: &RunDir, line: &[u8]) -> Result<Event> {
    Event::parse(line.trim_ascii_end())
        .ok_or_else(|| Failure::internal(format!("{} is not an event", run.terminal().display())))
}
