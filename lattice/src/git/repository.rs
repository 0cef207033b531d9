//! Finding the repository of a project without starting git, and the one question asked before a run.
//! Knows nothing of runs.

use std::path::{Path, PathBuf};

use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// Where a project lies in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The top of the working tree.
    pub top: PathBuf,
    /// The git directory of this working tree: `.git`, or an entry below `.git/worktrees`.
    pub git_dir: PathBuf,
    /// The git directory that all working trees share.
    pub common_dir: PathBuf,
    /// The project root below `top`, `""` at the top.
    pub prefix: PathBuf,
}

/// What one `git cat-file --batch-check` said before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    pub commit_sha: String,
    /// Which of the asked paths exist at that commit, in the order of asking.
    pub objects: Vec<bool>,
}

/// The repository around `project_root`; `None` outside of any. A bare one is refused.
pub fn discover(project_root: &Path) -> Result<Option<Repository>> {
    let _ = project_root;
    todo!()
}

impl Repository {
    /// Resolves `revision` and asks which of `paths` (relative to the project root) exist there.
    pub fn preflight(&self, h: &mut dyn Helpers, revision: &str, paths: &[&Path]) -> Result<Preflight> {
        let _ = (h, revision, paths);
        todo!()
    }

    /// The bytes of a file (relative to the project root) as of a commit.
    pub fn read_file(&self, h: &mut dyn Helpers, commit: &str, path: &Path) -> Result<Vec<u8>> {
        let _ = (h, commit, path);
        todo!()
    }
}
