//! The bytes of a file against the object that git wrote it from.
//!
//! A file system on a disk notes the time of a write through a mapping when the page is written to for the first time
//! (mmap(2), `MAP_SHARED`); tmpfs does not if the page was read before. A file that was converted on its way out is
//! none of its object, and goes.

use std::ffi::CStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// statfs(2): ext2 to ext4, XFS, Btrfs, F2FS.
#[cfg(target_os = "linux")]
const NOTED: &[i64] = &[0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];

/// Whether the times of a file tell everything that was done to it.
#[cfg(target_os = "linux")]
pub(super) fn is_told_by_times(directory: impl AsFd) -> io::Result<bool> {
    let kind = rustix::fs::fstatfs(directory)?.f_type;
    Ok(NOTED.iter().any(|known| i128::from(*known) == i128::from(kind)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_told_by_times(_directory: impl AsFd) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn is(
    parent: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
    object: &[u8],
) -> io::Result<bool> {
    let header = format!("blob {}\0", stat.st_size);
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
        return hash(header, target.to_bytes(), object);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(file) => hash(header, std::fs::File::from(file), object),
        // Write-only, as nothing of git's is.
        Err(_) => Ok(false),
    }
}

fn hash(header: String, content: impl Read, object: &[u8]) -> io::Result<bool> {
    match object.len() {
        20 => digest::<Sha1>(header, content).map(|found| found == object),
        _ => digest::<Sha256>(header, content).map(|found| found == object),
    }
}

fn digest<D: Digest>(header: String, mut content: impl Read) -> io::Result<Vec<u8>> {
    let mut digest = D::new_with_prefix(header);
    let mut room = vec![0; 64 * 1024];
    loop {
        match content.read(&mut room)? {
            0 => return Ok(digest.finalize().to_vec()),
            length => digest.update(&room[..length]),
        }
    }
}
