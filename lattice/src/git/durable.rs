//! What git leaves to the page cache when it makes a worktree (git-config(1), `core.fsync`): neither the files of the
//! entry nor the link to it. Without them a loss of power leaves work that git cannot read any more.

use std::io;
use std::path::Path;

use super::worktree;

/// Syncs the entry of a worktree, the worktree's link to it, and the directories in which they stand.
pub fn sync_entry(common_dir: &Path, path: &Path) -> io::Result<()> {
    let Some(entry) = worktree::entry(common_dir, path)? else { return Ok(()) };
    for child in fs_err::read_dir(&entry)? {
        let child = child?;
        if child.file_type()?.is_file() {
            sync(&child.path())?;
        }
    }
    sync(&path.join(".git"))?;
    for directory in [&entry, &common_dir.join("worktrees"), common_dir, path] {
        sync(directory)?;
    }
    path.parent().map_or(Ok(()), sync)
}

fn sync(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}
