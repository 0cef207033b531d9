//! A tree against its witness: whatever is not exactly as git had left it is no part of it.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::content;
use super::place::Place;
use crate::git::index::{Index, Seen, Time};
use crate::storage::delete;

/// `rwx` of the owner is all that git knows.
const OWNER_MAY_EXECUTE: rustix::fs::RawMode = 0o100;

/// What happens with something that is not as it should be.
pub(super) enum Stranger {
    /// Deleted; a file of the commit among them will be written anew.
    Goes,
    /// Then the whole tree is not what it was.
    IsRefused,
}

pub(super) struct Walk<'a> {
    pub(super) top: &'a Path,
    pub(super) index: &'a Index,
    pub(super) place: &'a Place,
    pub(super) stranger: Stranger,
    /// Files that changed in the moment in which the index was copied, or later, may have done so behind it.
    pub(super) before: Option<Time>,
    /// Where a file may be written without a trace in its times, its bytes are looked at too.
    pub(super) read: bool,
    pub(super) kept: usize,
    pub(super) bytes: u64,
}

impl Walk<'_> {
    pub(super) fn run(&mut self) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top = rustix::fs::open(self.top, flags, Mode::empty())?;
        if Place::of(&top)? != *self.place {
            return Err(different(self.top));
        }
        self.directory(top, &mut Vec::new())
    }

    /// `path` is that of the directory, with a slash at its end, `""` for the top.
    fn directory(&mut self, directory: OwnedFd, path: &mut Vec<u8>) -> io::Result<()> {
        let length = path.len();
        let mut listing = Dir::new(directory)?;
        let mut names = Vec::new();
        while let Some(entry) = listing.read() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        for name in names {
            path.extend_from_slice(name.to_bytes());
            if !self.belongs(listing.fd()?, &name, path)? {
                let plain = path.strip_suffix(b"/").unwrap_or(path);
                let stranger = self.top.join(OsStr::from_bytes(plain));
                match self.stranger {
                    Stranger::Goes => delete::delete_tree(&stranger)?,
                    Stranger::IsRefused => return Err(different(&stranger)),
                }
            }
            path.truncate(length);
        }
        Ok(())
    }

    /// Whether a name is the commit's; a directory is, if anything in it is.
    fn belongs(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return self.is_as_seen(parent, name, path, &stat);
        }
        path.push(b'/');
        if !self.index.has_below(path) {
            return Ok(false);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // One that its owner may not read is as strange as one that he may not write.
        let Ok(directory) = rustix::fs::openat(parent, name, flags, Mode::empty()) else {
            return Ok(false);
        };
        if Place::of(&directory)? != *self.place {
            return Ok(false);
        }
        let before = self.kept;
        self.directory(directory, path)?;
        Ok(self.kept > before)
    }

    fn is_as_seen(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
        stat: &Stat,
    ) -> io::Result<bool> {
        let Some(entry) = self.index.get(path) else { return Ok(false) };
        let is_older = self.before.is_none_or(|before| entry.seen.changed < before);
        let is_same = stat.st_nlink == 1 && seen(stat) == Some(entry.seen) && is_older;
        let is_same =
            is_same && (!self.read || content::is(parent, name, stat, self.index.object(entry))?);
        if is_same {
            self.kept += 1;
            self.bytes += u64::try_from(stat.st_blocks).unwrap_or_default() * 512;
        }
        Ok(is_same)
    }
}

/// As git would note it. Neither a set-user-ID bit nor a FIFO has a place in an index.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as git does")]
fn seen(stat: &Stat) -> Option<Seen> {
    let mode = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & OWNER_MAY_EXECUTE == 0 => 0o100_644,
        FileType::RegularFile => 0o100_755,
        FileType::Symlink => 0o120_000,
        _ => return None,
    };
    Some(Seen {
        changed: (stat.st_ctime as u32, stat.st_ctime_nsec as u32),
        modified: (stat.st_mtime as u32, stat.st_mtime_nsec as u32),
        inode: stat.st_ino as u32,
        mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: stat.st_size as u32,
    })
}

/// When the copy of an index was last changed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as git does")]
pub(super) fn changed(file: impl AsFd) -> io::Result<Time> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_ctime as u32, stat.st_ctime_nsec as u32))
}

pub(super) fn different(path: &Path) -> io::Error {
    io::Error::other(format!("{} is not as git had left it", path.display()))
}
