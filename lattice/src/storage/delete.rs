//! Deleting trees that others may have filled: never through a symbolic link, never across a mount.
//! Knows nothing of what the trees were.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use super::mounts::has_mount;

/// Levels below which a directory is moved up before it is emptied: descriptors and stack are limited, depth is not.
const DEEPEST: usize = 64;

/// Deletes `path` and everything below it. Nothing there is success.
///
/// A directory that its owner made unreadable or read-only gets `rwx` first. What cannot be deleted is passed over;
/// the first such error is returned in the end. A mount ends the deletion at once: nothing in it is touched.
/// A crash leaves a smaller tree under the same name, to be deleted by the next call.
pub fn delete_tree(path: &Path) -> io::Result<()> {
    delete(path).map_err(|error| {
        io::Error::new(error.kind(), format!("failed to delete `{}`: {error}", path.display()))
    })
}

fn delete(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no name of its own"));
    };
    let parent = if parent == Path::new("") { Path::new(".") } else { parent };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(parent) => parent,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let name = CString::new(name.as_bytes())?;
    let mut deletion = Deletion {
        barrier: Barrier::of(parent.as_fd(), &name, path)?,
        top: None,
        moved: 0,
        first_error: None,
    };
    loop {
        deletion.moved = 0;
        deletion.first_error = None;
        deletion.entry(parent.as_fd(), &name, 0)?;
        // What was moved up lies at the top now, one level deep: another round empties it.
        if deletion.moved == 0 {
            return deletion.first_error.map_or(Ok(()), |error| Err(error.into()));
        }
    }
}

/// How a directory is opened so that a mount stops us.
enum Barrier {
    /// `openat2(2)` refuses every mount, also one of the same file system.
    #[cfg(target_os = "linux")]
    Mount,
    /// Without `openat2`: another device.
    Device(u64),
}

impl Barrier {
    fn of(parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        match open_on_mount(parent, name) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            _ => return Ok(Self::Mount),
        }
        if has_mount(path)? {
            return Err(Errno::XDEV.into());
        }
        let device = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => device(&stat),
            Err(_) => 0,
        };
        Ok(Self::Device(device))
    }

    fn open(&self, parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Mount => open_on_mount(parent, name),
            Self::Device(expected) => {
                let directory = rustix::fs::openat(parent, name, directory_flags(), Mode::empty())?;
                let found = device(&rustix::fs::fstat(&directory)?);
                if found == *expected { Ok(directory) } else { Err(Errno::XDEV) }
            }
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(target_os = "linux")]
fn open_on_mount(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    rustix::fs::openat2(parent, name, directory_flags(), Mode::empty(), resolve)
}

/// `dev_t` has another width on macOS.
#[cfg_attr(
    target_os = "linux",
    expect(clippy::useless_conversion, reason = "`dev_t` is `i32` on macOS")
)]
fn device(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_dev).unwrap_or_default()
}

struct Deletion {
    barrier: Barrier,
    /// The top of the tree, while it is being emptied.
    top: Option<OwnedFd>,
    moved: u32,
    first_error: Option<Errno>,
}

impl Deletion {
    /// Deletes one name of a directory. Only a mount is an error here; all else is noted.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        depth: usize,
    ) -> rustix::io::Result<()> {
        match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.directory(parent, name, depth)
            }
            Ok(_) => {
                self.unlink(parent, name, AtFlags::empty(), depth);
                Ok(())
            }
            Err(error) => {
                self.note(error);
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        depth: usize,
    ) -> rustix::io::Result<()> {
        let opened = match self.barrier.open(parent, name) {
            Err(Errno::ACCESS) => {
                self.note_failed(rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty()));
                self.barrier.open(parent, name)
            }
            other => other,
        };
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::XDEV) => return Err(Errno::XDEV),
            Err(error) => {
                self.note(error);
                return Ok(());
            }
        };
        if depth >= DEEPEST && self.move_up(parent, name) {
            return Ok(());
        }
        self.empty(directory, depth)?;
        self.unlink(parent, name, AtFlags::REMOVEDIR, depth);
        Ok(())
    }

    fn empty(&mut self, directory: OwnedFd, depth: usize) -> rustix::io::Result<()> {
        if depth == 0 {
            self.top = Some(rustix::io::fcntl_dupfd_cloexec(&directory, 0)?);
        }
        let mut listing = Dir::new(directory)?;
        let mut names = Vec::new();
        while let Some(entry) = listing.read() {
            let Ok(entry) = entry else { break };
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        for name in names {
            self.entry(listing.fd()?, &name, depth + 1)?;
        }
        Ok(())
    }

    fn unlink(&mut self, parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags, depth: usize) {
        let result = match rustix::fs::unlinkat(parent, name, flags) {
            // A read-only directory of the tree; the one that the tree is in is not ours to change.
            Err(Errno::ACCESS) if depth > 0 => {
                self.note_failed(rustix::fs::fchmod(parent, Mode::RWXU));
                rustix::fs::unlinkat(parent, name, flags)
            }
            other => other,
        };
        match result {
            // Its content was moved up, or has been noted already.
            Err(Errno::NOTEMPTY | Errno::EXIST) if self.moved > 0 || self.first_error.is_some() => {
            }
            result => self.note_failed(result),
        }
    }

    /// Moves a directory to the top of the tree, under a name that no other one there has.
    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> bool {
        let Some(top) = &self.top else { return false };
        let up = format!(".deep-{:016x}", RandomState::new().hash_one(self.moved));
        let moved = rustix::fs::renameat(parent, name, top, up).is_ok();
        self.moved += u32::from(moved);
        moved
    }

    fn note_failed(&mut self, result: rustix::io::Result<()>) {
        if let Err(error) = result {
            self.note(error);
        }
    }

    /// What is gone already was deleted by somebody else, which is as good.
    fn note(&mut self, error: Errno) {
        if error != Errno::NOENT {
            self.first_error.get_or_insert(error);
        }
    }
}

/// What marks a tree as garbage that anyone may delete.
pub const TRASH_PREFIX: &str = ".trash-";

/// The name beside `path` that it has as garbage: always the same, so that whoever goes on after a crash finds it.
pub fn trash_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(TRASH_PREFIX);
    name.push(path.file_name().unwrap_or(OsStr::new("tree")));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn filled() -> (TempDir, PathBuf) {
        let dir = tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs_err::create_dir_all(tree.join("a/b")).unwrap();
        fs_err::write(tree.join("a/b/file"), "x").unwrap();
        (dir, tree)
    }

    #[test]
    fn deletes_trees_files_links_and_nothing() {
        let (dir, tree) = filled();
        fs_err::write(tree.join("new\nline"), "x").unwrap();
        let outside = dir.path().join("outside");
        fs_err::create_dir(&outside).unwrap();
        fs_err::write(outside.join("file"), "x").unwrap();
        symlink(&outside, tree.join("a/link")).unwrap();
        symlink("/nowhere", tree.join("dangling")).unwrap();
        delete_tree(&tree).unwrap();
        delete_tree(&tree).unwrap();
        delete_tree(&dir.path().join("no/such/parent")).unwrap();
        assert!(!tree.exists());

        symlink(&outside, &tree).unwrap();
        delete_tree(&tree).unwrap();
        assert!(fs_err::symlink_metadata(&tree).is_err());
        delete_tree(&outside.join("file")).unwrap();
        assert!(outside.is_dir() && !outside.join("file").exists());
    }

    #[test]
    fn m17_opens_up_what_is_closed() {
        let (_dir, tree) = filled();
        for (path, mode) in [("a/b", 0o555), ("a", 0o000)] {
            fs_err::set_permissions(tree.join(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        delete_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn depth_is_no_limit() {
        let (_dir, tree) = filled();
        let mut directory = rustix::fs::open(&tree, directory_flags(), Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&directory, "deeper", Mode::RWXU).unwrap();
            directory =
                rustix::fs::openat(&directory, "deeper", directory_flags(), Mode::empty()).unwrap();
        }
        delete_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(delete_tree(Path::new("/")).is_err());
        assert!(delete_tree(Path::new("/tmp/..")).is_err());
    }

    #[test]
    fn trash_lies_beside_its_origin() {
        let name = trash_name(Path::new("/x/worktrees/wt"));
        assert_eq!(name, Path::new("/x/worktrees/.trash-wt"));
    }

    /// Runs [`in_a_namespace_with_mounts`] where mounts harm nobody. Refused without user namespaces: then skipped.
    #[test]
    #[cfg(target_os = "linux")]
    fn f11_mounts_are_found_and_survive() {
        let (dir, _tree) = filled();
        let script = "mkdir tree/m 'tree/with blank' bound && echo kept > bound/file \
            && mount -t tmpfs none tree/m && touch tree/m/file && mount --bind bound 'tree/with blank' || exit 77
            exec \"$0\" --ignored --exact storage::delete::tests::in_a_namespace_with_mounts";
        #[expect(
            clippy::disallowed_methods,
            reason = "the way to start processes is not storage's to know"
        )]
        let mut unshare = std::process::Command::new("unshare");
        unshare
            .args(["-Urm", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .current_dir(dir.path());
        match unshare.status().map(|status| status.code()) {
            Ok(Some(0)) => {
                assert_eq!(fs_err::read(dir.path().join("bound/file")).unwrap(), b"kept\n");
            }
            Ok(Some(1 | 77)) | Err(_) if !dir.path().join("entered").exists() => {
                println!("skipped: no user namespaces");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[ignore = "run by `f11_mounts_are_found_and_survive` in a namespace of its own"]
    fn in_a_namespace_with_mounts() {
        let tree = std::env::current_dir().unwrap().join("tree");
        fs_err::write("entered", "").unwrap();
        assert!(has_mount(&tree).unwrap());
        assert!(has_mount(&tree.join("with blank")).unwrap());
        assert!(!has_mount(&tree.join("a")).unwrap());
        assert!(!has_mount(Path::new("/no/such/place")).unwrap());
        assert_eq!(delete_tree(&tree).unwrap_err().kind(), io::ErrorKind::CrossesDevices);
        assert!(tree.join("m/file").exists() && tree.join("with blank/file").exists());
        delete_tree(&tree.join("a")).unwrap();
        assert!(!tree.join("a").exists());
    }
}
