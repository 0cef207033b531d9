//! What is in `runs/` and `worktrees/`, by names alone.

use std::io;
use std::path::{Path, PathBuf};

use super::directory::RunDir;
use crate::model::ids::RunId;
use crate::storage::delete::TRASH_PREFIX;

/// Everything in `runs/`: the runs, and what crashes left.
pub struct Listing {
    pub runs: Vec<RunDir>,
    /// `.new-` directories and `.tmp.` files, whose maker may be alive, and `.old-`, for whoever gets its lock.
    pub unfinished: Vec<PathBuf>,
    pub retired: Vec<PathBuf>,
}

/// Worktrees whose deletion was cut off.
pub fn trash(worktrees: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs_err::read_dir(worktrees) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_trash = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TRASH_PREFIX))
    };
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_trash).collect())
}

pub fn list(runs: &Path) -> io::Result<Listing> {
    let mut listing = Listing { runs: Vec::new(), unfinished: Vec::new(), retired: Vec::new() };
    let entries = match fs_err::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with(".new-") || name.starts_with(".tmp.") {
            listing.unfinished.push(path);
        } else if name.starts_with(".old-") {
            listing.retired.push(path);
        } else if RunId::parse(name).is_some() {
            listing.runs.push(RunDir::at(path));
        }
    }
    listing.runs.sort_by(|one, other| one.path().cmp(other.path()));
    Ok(listing)
}
