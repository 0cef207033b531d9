//! Whole files, written so that a reader sees the old content or the new one, also after a crash.

use std::io;
use std::path::Path;

/// Replaces or creates a file. Owner and mode of a replaced file are kept; a new one gets mode 0600.
/// A crash leaves at most `.tmp.XXXXXXXX` beside it, which nothing reads.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    todo!()
}

/// Creates a file with its whole content, mode 0600; [`io::ErrorKind::AlreadyExists`] if the name is taken.
pub fn publish_exclusive(path: &Path, bytes: &[u8]) -> io::Result<()> {
    todo!()
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    todo!()
}
