//! Whose a new file is: what root makes in somebody's project is that somebody's, who could not go on otherwise.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;
use nix::unistd::Uid;

/// Gives a file of root's to the owner of its directory. Where that is refused, as in a user namespace that does not
/// know the owner, it stays root's.
pub fn inherit(made: &File, path: &Path) {
    if !Uid::effective().is_root() {
        return;
    }
    let (Ok(file), Some(Ok(above))) = (made.metadata(), path.parent().map(fs_err::metadata)) else {
        return;
    };
    if file.uid() == 0 && above.uid() != 0 {
        drop(fchown(made, Some(above.uid()), Some(above.gid())));
    }
}

/// Makes a directory and what is missing above it, each for the owner of the one above.
pub fn make_dirs(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_dirs(above, mode)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => {
            let why = format!("failed to create directory `{}`: {error}", path.display());
            Err(io::Error::new(error.kind(), why))
        }
        Ok(()) => {
            inherit_dir(path);
            Ok(())
        }
    }
}

/// The same for a directory that somebody else has made for us, such as git. One that is gone, or that may not be
/// read, stays as it is.
fn inherit_dir(path: &Path) {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    if let Ok(made) = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        inherit(made.file(), path);
    }
}

/// The same for all that git has made in a repository to save something in: directories, which it writes into later.
/// What it has put there is only ever read, or replaced.
pub fn inherit_repository(common_dir: &Path) {
    if !Uid::effective().is_root() {
        return;
    }
    for made in ["refs/lattice", "refs/lattice/runs", "worktrees"] {
        inherit_dir(&common_dir.join(made));
    }
    let objects = fs_err::read_dir(common_dir.join("objects")).into_iter().flatten();
    objects.flatten().for_each(|entry| inherit_dir(&entry.path()));
}
