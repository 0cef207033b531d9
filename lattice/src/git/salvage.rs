//! Saving what a run left in its worktree, so that deleting the worktree loses nothing.

use std::path::{Path, PathBuf};

use crate::model::ids::RunId;
use crate::process::helper::Helpers;

/// What to save, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub common_dir: &'a Path,
    /// As [`super::worktree::entry`] found it.
    pub entry: Option<&'a Path>,
    pub worktree: &'a Path,
    pub run: &'a RunId,
    pub base_commit: &'a str,
    /// Paths below the top of the worktree that are not the worker's: copied or linked in, and unchanged
    /// (see [`super::carried::unchanged`]).
    pub exclude: &'a [PathBuf],
    /// An existing directory for temporary index files: the run directory.
    pub scratch: &'a Path,
}

/// What was saved, and whether the worktree must stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvage {
    pub preserved_ref: Option<String>,
    /// Why the worktree must be kept, in one sentence.
    pub veto: Option<String>,
}

/// The ref under which the work of a run is kept.
pub fn preserved_ref(run: &RunId) -> String {
    format!("refs/lattice/runs/{run}")
}

/// Saves commits and changes of a run's worktree. Idempotent: a second ender arrives at the same commit.
pub fn save(h: &mut dyn Helpers, request: &Request<'_>) -> Salvage {
    let _ = (h, request);
    todo!()
}
