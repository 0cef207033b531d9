//! Paths that were copied or linked from the project into a worktree: which of them are still as they came.

use std::path::{Path, PathBuf};

/// Those of `paths` (relative to both directories) that the worker did not change, so that a secret carried into a
/// worktree does not end in a ref.
pub fn unchanged(project_root: &Path, worktree_root: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    let _ = (project_root, worktree_root, paths);
    todo!()
}
