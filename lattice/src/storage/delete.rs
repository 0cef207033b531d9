//! Deleting trees that others may have filled: never through a symbolic link, never across a mount.

use std::io;
use std::path::{Path, PathBuf};

/// Deletes `path` and everything below it. Nothing there is success.
pub fn delete_tree(path: &Path) -> io::Result<()> {
    let _ = path;
    todo!()
}

/// Whether something is mounted at or below `path`.
pub fn has_mount(path: &Path) -> io::Result<bool> {
    let _ = path;
    todo!()
}

/// A name beside `path` that marks it as garbage which anyone may delete: `.trash-<name>-<random>`.
pub fn trash_name(path: &Path) -> PathBuf {
    let _ = path;
    todo!()
}
