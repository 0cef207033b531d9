//! Whole files, written so that a reader sees the old content or the new one, also after a crash.

use std::fs::{Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::NamedTempFile;

use super::owner;

/// Replaces or creates a file. Owner and mode of a replaced file are kept; a new one gets mode 0600.
/// A crash leaves at most `.tmp.XXXXXXXX` beside it, which nothing reads.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// [`replace`] for content that is not in memory. If `fill` fails, the old file stays as it was.
pub fn replace_with(
    path: &Path,
    fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> io::Result<()> {
    Prepared::new(path, path, fill)?.publish()
}

/// A file that is whole and synced, but has not got its name yet. Dropping it leaves nothing.
#[derive(Debug)]
pub struct Prepared {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl Prepared {
    /// `like`: whose owner and mode it gets, if that is there.
    pub fn new(
        path: &Path,
        like: &Path,
        fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> io::Result<Self> {
        let failed = |error| named("replace", path, &error);
        let mut temporary = temporary_beside(path).map_err(failed)?;
        fill(&mut temporary).map_err(failed)?;
        match fs_err::symlink_metadata(like) {
            Ok(old) if old.is_file() => inherit(&temporary, &old).map_err(failed)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => owner::inherit(temporary.as_file(), path),
        }
        temporary.as_file().sync_all().map_err(failed)?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    pub fn publish(self) -> io::Result<()> {
        let Self { temporary, path } = self;
        temporary.persist(&path).map_err(|error| named("replace", &path, &error.error))?;
        sync_dir(parent(&path))
    }
}

/// Creates a file with its whole content, mode 0600; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn publish_exclusive(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let failed = |error| named("create", path, &error);
    let temporary = filled_beside(path, bytes).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist_noclobber(path).map_err(|error| failed(error.error))?;
    sync_dir(parent(path))
}

/// [`replace`] for what means nothing to another boot: whole for whoever reads it while this kernel runs, but a loss of
/// power may empty it, or bring the old one back. It gets mode 0600.
pub fn replace_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = filled_beside(path, bytes).map_err(|error| named("replace", path, &error))?;
    temporary.persist(path).map_err(|error| named("replace", path, &error.error)).map(drop)
}

/// Synced under its name, which is one commit of a journal instead of two. A loss of power before this returns may leave
/// it empty: for what nobody relies on until then, and is written again.
pub fn replace_then_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let failed = |error| named("replace", path, &error);
    let temporary = filled_beside(path, bytes).map_err(failed)?;
    let file = temporary.persist(path).map_err(|error| failed(error.error))?;
    file.sync_all().map_err(failed)?;
    sync_dir(parent(path))
}

/// [`publish_exclusive`] for what means nothing to another boot.
pub fn publish_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = filled_beside(path, bytes).map_err(|error| named("create", path, &error))?;
    temporary.persist_noclobber(path).map_err(|error| named("create", path, &error.error)).map(drop)
}

fn filled_beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut temporary = temporary_beside(path)?;
    temporary.write_all(bytes)?;
    owner::inherit(temporary.as_file(), path);
    Ok(temporary)
}

/// Makes the names in a directory durable. File systems that cannot do that say `EINVAL`: nothing to be done.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    let directory = fs_err::File::open(path)?;
    match directory.file().sync_all() {
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => {
            Err(named("sync directory", path, &error))
        }
        _ => Ok(()),
    }
}

/// Mode 0600; removed when it is dropped, so also when the disk is full.
fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".tmp.").rand_bytes(8).tempfile_in(parent(path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `sudo lattice …` must not lock the owner out of his own files.
pub(super) fn inherit(temporary: &NamedTempFile, old: &Metadata) -> io::Result<()> {
    let new = temporary.as_file().metadata()?;
    let differs = |old: u32, new: u32| (old != new).then_some(old);
    let (uid, gid) = (differs(old.uid(), new.uid()), differs(old.gid(), new.gid()));
    let mode = old.mode() & 0o777;
    if uid.is_none() && gid.is_none() && new.mode() & 0o7777 == mode {
        return Ok(());
    }
    if uid.is_some() || gid.is_some() {
        match fchown(temporary.as_file(), uid, gid) {
            // Only root may give files away. In a directory that people share, the writer owns what he writes.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    // After the change of owner, which takes mode bits away.
    temporary.as_file().set_permissions(Permissions::from_mode(mode))
}

fn named(doing: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("failed to {doing} `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().mode() & 0o7777
    }

    fn names(dir: &Path) -> usize {
        fs_err::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_new_file_is_private_and_a_replaced_one_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.json");
        replace(&path, b"1").unwrap();
        assert_eq!(mode(&path), 0o600);
        fs_err::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"2").unwrap();
        assert_eq!((mode(&path), fs_err::read(&path).unwrap()), (0o640, b"2".to_vec()));
        assert_eq!(names(dir.path()), 1);
    }

    #[test]
    fn s17_root_keeps_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.json");
        replace(&path, b"1").unwrap();
        if fs_err::os::unix::fs::chown(&path, Some(1234), Some(1234)).is_err() {
            return; // Only root can set the scene.
        }
        replace(&path, b"2").unwrap();
        let meta = fs_err::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid(), mode(&path)), (1234, 1234, 0o600));
    }

    #[test]
    fn an_existing_name_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        publish_exclusive(&path, b"1").unwrap();
        let error = publish_exclusive(&path, b"2").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            (fs_err::read(&path).unwrap(), names(dir.path()), mode(&path)),
            (b"1".to_vec(), 1, 0o600)
        );
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs_err::create_dir(&path).unwrap();
        let error = replace(&path, b"1").unwrap_err();
        assert!(error.to_string().contains("f`"), "{error}");
        assert_eq!(names(dir.path()), 1);
        let full = replace_with(&dir.path().join("g"), |_| Err(io::ErrorKind::StorageFull.into()))
            .unwrap_err();
        assert_eq!((full.kind(), names(dir.path())), (io::ErrorKind::StorageFull, 1));
    }
}
