//! A tree against its witness: whatever is not exactly as git had left it is no part of it.

use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::Range;
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

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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
    /// The files of the index that are looked at. The names of all others are left to another walk.
    pub(super) part: Range<usize>,
    pub(super) place: &'a Place,
    pub(super) stranger: Stranger,
    /// Files that changed in the moment in which the index was copied, or later, may have done so behind it.
    pub(super) before: Option<Time>,
    /// Where a file may be written without a trace in its times, its bytes are looked at too.
    pub(super) read: bool,
    pub(super) kept: usize,
    pub(super) bytes: u64,
}

impl<'a> Walk<'a> {
    /// Of everything, where nothing may be otherwise.
    pub(super) fn of(top: &'a Path, index: &'a Index, place: &'a Place) -> Self {
        let part = 0..index.len();
        let (stranger, before, read) = (Stranger::IsRefused, None, false);
        Self { top, index, part, place, stranger, before, read, kept: 0, bytes: 0 }
    }

    pub(super) fn run(&mut self) -> io::Result<()> {
        let top = rustix::fs::open(self.top, DIRECTORY, Mode::empty())?;
        if Place::of(&top)? != *self.place {
            return Err(different(self.top));
        }
        self.directory(top, &mut Vec::new(), &(0..self.index.len())).map(drop)
    }

    /// `path` is that of the directory, with a slash at its end, `""` for the top; `within` are the files below it.
    /// The answer is how many of its names are the commit's.
    fn directory(
        &mut self,
        directory: OwnedFd,
        path: &mut Vec<u8>,
        within: &Range<usize>,
    ) -> io::Result<usize> {
        let length = path.len();
        let mut listing = Dir::new(directory)?;
        let mut names = Vec::new();
        while let Some(entry) = listing.read() {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push((entry.file_name().to_owned(), entry.file_type()));
            }
        }
        let mut belong = 0;
        for (name, kind) in names {
            path.extend_from_slice(name.to_bytes());
            if self.belongs(listing.fd()?, &name, kind, path, within)? {
                belong += 1;
            } else {
                let plain = path.strip_suffix(b"/").unwrap_or(path);
                let stranger = self.top.join(OsStr::from_bytes(plain));
                match self.stranger {
                    Stranger::Goes => delete::delete_tree(&stranger)?,
                    Stranger::IsRefused => return Err(different(&stranger)),
                }
            }
            path.truncate(length);
        }
        Ok(belong)
    }

    /// Whether a name is the commit's; a directory is, if anything in it is.
    fn belongs(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
        path: &mut Vec<u8>,
        within: &Range<usize>,
    ) -> io::Result<bool> {
        let kind = match kind {
            // Not every file system lists kinds.
            FileType::Unknown => FileType::from_raw_mode(look(parent, name)?.st_mode),
            kind => kind,
        };
        if kind != FileType::Directory {
            return match self.index.find(within, path) {
                Some(at) if self.part.contains(&at) => self.is_as_seen(parent, name, at),
                other => Ok(other.is_some()),
            };
        }
        path.push(b'/');
        let below = self.index.below(within, path);
        if below.is_empty() {
            return Ok(false);
        }
        if below.end <= self.part.start || self.part.end <= below.start {
            return Ok(true);
        }
        // One that its owner may not read is as strange as one that he may not write.
        let Ok(directory) = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) else {
            return Ok(false);
        };
        if Place::of(&directory)? != *self.place {
            return Ok(false);
        }
        Ok(self.directory(directory, path, &below)? > 0)
    }

    fn is_as_seen(&mut self, parent: BorrowedFd<'_>, name: &CStr, at: usize) -> io::Result<bool> {
        let stat = look(parent, name)?;
        let entry = self.index.entry(at);
        let is_older = self.before.is_none_or(|before| entry.seen.changed < before);
        let is_same = stat.st_nlink == 1 && seen(&stat) == Some(entry.seen) && is_older;
        let is_same =
            is_same && (!self.read || content::is(parent, name, &stat, self.index.object(entry))?);
        if is_same {
            self.kept += 1;
            self.bytes += u64::try_from(stat.st_blocks).unwrap_or_default() * 512;
        }
        Ok(is_same)
    }
}

fn look(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
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
