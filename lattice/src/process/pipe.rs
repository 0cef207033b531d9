//! The pipe that is an engine's stdout and stderr, and the log that is read from it. A pipe cannot be truncated by
//! `echo > /dev/stderr`, and nobody ever waits for its end: a daemon may hold it for days.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::sparse;

/// Both ends close on exec. Only the read end never blocks: the flag belongs to each end's own description.
pub fn create() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// The inode by which a survivor that holds the pipe is recognised.
pub fn inode(end: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(end)?.st_ino)
}

/// The whole lines in the last `window` bytes of a log, with invalid UTF-8 replaced. A line that the window cuts is
/// left out: half a secret is not recognised as one.
pub fn last_lines(log: &Path, window: u64) -> io::Result<String> {
    let mut file = fs_err::File::open(log)?;
    let length = file.metadata()?.len();
    // What stands behind a hole begins in the middle of a line.
    let behind_gap = sparse::gap(file.file())?.map_or(0, |gap| gap.end);
    let start = length.saturating_sub(window).max(behind_gap);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(window).read_to_end(&mut end)?;
    if start > 0 {
        let cut =
            end.iter().position(|&byte| byte == b'\n').map_or(end.len(), |newline| newline + 1);
        end.drain(..cut);
    }
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        fs_err::write(&log, "one\ntwo\nthree").unwrap();
        assert_eq!(last_lines(&log, 4096).unwrap(), "one\ntwo\nthree");
        assert_eq!(last_lines(&log, 7).unwrap(), "three");
    }
}
