//! With how many processes git writes a big checkout.

use std::path::Path;
use std::thread;

use super::command;
use super::index;
use super::repository::Repository;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// From how many files on a second process that writes them pays for itself.
const MANY: u32 = 20_000;
/// More writers than this wait for one another.
const WRITERS: usize = 8;

/// Settings for a checkout at `path`; none where the user has chosen a number.
pub(super) fn settings(h: &mut dyn Helpers, repo: &Repository, path: &Path) -> Result<Vec<String>> {
    let is_small = index::count(&repo.git_dir.join("index")).is_none_or(|count| count < MANY);
    if is_small || is_in_memory(path) {
        return Ok(Vec::new());
    }
    let mut git = command::git(&repo.top);
    git.args(["config", "--get", "checkout.workers"]);
    if command::run(h, git, None, "cannot read git's configuration")?.success() {
        return Ok(Vec::new());
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(vec!["-c".to_owned(), format!("checkout.workers={}", cores.min(WRITERS))])
}

/// There every file that is made takes the same locks: two writers use half as much processor time again, and are
/// done no sooner.
#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    /// statfs(2)
    const TMPFS: i128 = 0x0102_1994;
    let parent = path.parent().unwrap_or(path);
    rustix::fs::statfs(parent).is_ok_and(|found| i128::from(found.f_type) == TMPFS)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_path: &Path) -> bool {
    false
}
