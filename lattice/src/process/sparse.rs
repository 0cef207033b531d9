//! Holes in files: making one, and finding where the data goes on (lseek(2), SEEK_DATA; fallocate(2)).
//! Where a file system knows no holes, every file is all data.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};

/// Gives the blocks between two offsets back to the file system. The length of the file stays.
#[cfg(target_os = "linux")]
pub fn punch(file: &File, hole: Range<u64>) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, hole.start, hole.end - hole.start)?)
}

#[cfg(not(target_os = "linux"))]
pub fn punch(_file: &File, _hole: Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Where the next data begins, at `offset` or behind it; the end of the file if there is none.
/// Moves the file's position, like the others here: not for a file that somebody reads or writes by position.
pub fn next_data(file: &File, offset: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if offset >= length {
        return Ok(offset);
    }
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(data),
        Err(rustix::io::Errno::NXIO) => Ok(length),
        Err(_) => Ok(offset),
    }
}

/// Where the next hole begins, at `offset` or behind it; at the latest at the end of the file.
pub fn next_hole(file: &File, offset: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(offset)) {
        Ok(hole) => Ok(hole),
        Err(_) => Ok(file.metadata()?.len().max(offset)),
    }
}

/// The first hole that has data behind it.
pub fn gap(file: &File) -> io::Result<Option<Range<u64>>> {
    let hole = next_hole(file, 0)?;
    let data = next_data(file, hole)?;
    Ok((data > hole).then_some(hole..data))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_hole_is_found_where_it_was_made() {
        const BLOCK: u64 = 64 * 1024;
        let content = "x".repeat(256 * 1024);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content.as_bytes(), 0).unwrap();
        assert_eq!(gap(&file).unwrap(), None);
        if punch(&file, BLOCK..3 * BLOCK).is_err() {
            return;
        }
        assert_eq!(gap(&file).unwrap(), Some(BLOCK..3 * BLOCK));
        assert_eq!(next_data(&file, 2 * BLOCK).unwrap(), 3 * BLOCK);
        assert_eq!(next_data(&file, BLOCK - 1).unwrap(), BLOCK - 1);
        assert_eq!(next_data(&file, 9 * BLOCK).unwrap(), 9 * BLOCK);
        assert_eq!(next_hole(&file, 3 * BLOCK).unwrap(), 4 * BLOCK);
        assert_eq!(file.metadata().unwrap().len(), 4 * BLOCK);
    }
}
