//! The directory of a member, and its lock.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::facts::Facts;
use crate::runs::directory::{is_at, read_json};
use crate::storage::delete;

/// What marks a member, whole or half-made.
pub const PREFIX: &str = ".pool-";

/// Held until this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    path: PathBuf,
    _lock: File,
}

impl Member {
    /// Makes one, to be filled with the worktree at `worktree`. `None`: somebody has taken it for garbage.
    pub(super) fn make(worktree: &Path) -> io::Result<Option<Self>> {
        let path = beside(worktree);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Self::hold(path)
    }

    /// Never waits. `None`: it is held, gone, or not ours.
    pub(super) fn hold(path: PathBuf) -> io::Result<Option<Self>> {
        let is_ours = |found: &std::fs::Metadata| {
            found.is_dir()
                && found.uid() == Uid::effective().as_raw()
                && found.permissions().mode() & 0o7777 == 0o700
        };
        match fs_err::symlink_metadata(&path) {
            Ok(found) if is_ours(&found) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let lock = fs_err::File::open(&path)?.into_file();
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(is_at(&lock, &path).then_some(Self { path, _lock: lock }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.path.join("index")
    }

    pub(super) fn facts_path(&self) -> PathBuf {
        self.path.join("facts.json")
    }

    /// `None`: it never became a member, or is none any more.
    pub(super) fn facts(&self) -> Option<Facts> {
        read_json(&self.facts_path()).ok()
    }

    /// From here on it is garbage for whoever gets the lock.
    pub(super) fn claim(&self) -> io::Result<()> {
        fs_err::remove_file(self.facts_path())
    }

    /// The facts first: what is half deleted must never look like a member. What of the tree cannot be deleted is
    /// garbage by the same name as that of any other worktree.
    pub(super) fn delete(self) -> io::Result<()> {
        unless_missing(self.claim())?;
        let trash = self.trash();
        unless_missing(fs_err::rename(self.tree(), &trash))?;
        delete::delete_tree(&self.path).and(delete::delete_tree(&trash))
    }

    fn trash(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        delete::trash_name(&self.path.with_file_name(name.trim_start_matches(PREFIX)))
    }
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Where a worktree becomes a member: under its own name, which nobody could foresee.
fn beside(worktree: &Path) -> PathBuf {
    let name = worktree.file_name().unwrap_or_default().to_string_lossy();
    worktree.with_file_name(format!("{PREFIX}{name}"))
}

/// Whatever bears the name of one, the newest first.
pub(super) fn all(root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs_err::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_member = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    };
    let mut paths: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_member).collect();
    // The names begin with the time of their runs.
    paths.sort_by(|one, other| other.cmp(one));
    Ok(paths)
}
