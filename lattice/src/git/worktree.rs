//! Worktrees of runs and their administrative entries. Never prunes: what is not provably the run's stays.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::repository::Repository;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// Checks `commit` out at `path`, detached and git-locked with `reason`. `pause` waits between attempts.
pub fn add(
    h: &mut dyn Helpers,
    repo: &Repository,
    path: &Path,
    commit: &str,
    reason: &str,
    pause: &mut dyn FnMut(Duration),
) -> Result<()> {
    let _ = (h, repo, path, commit, reason, pause);
    todo!()
}

/// The administrative entry of `worktree`, whole or half-made.
pub fn entry(common_dir: &Path, worktree: &Path) -> Option<PathBuf> {
    let _ = (common_dir, worktree);
    todo!()
}

/// Locks an entry, as `git worktree lock --reason` does.
pub fn lock(entry: &Path, reason: &str) -> io::Result<()> {
    let _ = (entry, reason);
    todo!()
}

/// Removes an entry that [`entry`] found.
pub fn remove_entry(entry: &Path) -> io::Result<()> {
    let _ = entry;
    todo!()
}
