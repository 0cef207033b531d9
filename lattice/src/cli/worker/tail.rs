//! Copies a log that grows.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use lattice::model::failure::Result;

use crate::cli::out::Out;

const BLOCK: usize = 64 << 10;

/// A place in a log. The file need not be there yet: it comes with the run's first output.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
}

impl Tail {
    /// The whole log, or only its last lines.
    pub(super) fn open(path: PathBuf, last_lines: Option<usize>) -> Result<Self> {
        let mut tail = Self { path, file: None, offset: 0 };
        if let (Some(file), Some(count)) = (tail.file()?, last_lines) {
            tail.offset = start_of_last_lines(file, count)?;
        }
        Ok(tail)
    }

    /// Writes what has come since the last time.
    pub(super) fn copy(&mut self, out: &Out) -> Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            let count = self.read(&mut block)?;
            if count == 0 {
                return out.flush();
            }
            out.bytes(&block[..count])?;
        }
    }

    /// Everything from here to the present end.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        if let Some(mut file) = self.file()?.map(File::try_clone).transpose()? {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let offset = self.offset;
        let Some(file) = self.file()? else { return Ok(0) };
        // A log that has become shorter was begun anew.
        let offset = if file.metadata()?.len() < offset { 0 } else { offset };
        let count = file.read_at(block, offset)?;
        self.offset = offset + u64::try_from(count).expect("a block fits 64 bits");
        Ok(count)
    }

    fn file(&mut self) -> io::Result<Option<&File>> {
        if self.file.is_none() {
            self.file = match fs_err::File::open(&self.path) {
                Ok(file) => Some(file.into_file()),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.file.as_ref())
    }
}

/// Looks from the end backwards, block by block: a log may be large.
fn start_of_last_lines(file: &File, count: usize) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    let mut end = length;
    // The line end of the last line begins no further line.
    let mut wanted = count + 1;
    if length > 0 {
        file.read_exact_at(&mut block[..1], length - 1)?;
        if block[0] != b'\n' {
            wanted = count;
        }
    }
    if count == 0 {
        return Ok(length);
    }
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - start).expect("a block fits")];
        file.read_exact_at(part, start)?;
        for (index, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            wanted -= 1;
            if wanted == 0 {
                return Ok(start + index as u64 + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_found_across_blocks() {
        let mut file = tempfile::tempfile().unwrap();
        let line = format!("{}\n", "x".repeat(BLOCK / 2));
        for _ in 0..5 {
            file.write_all(line.as_bytes()).unwrap();
        }
        let length = line.len() as u64;
        for (count, lines) in [(0, 5), (1, 4), (3, 2), (5, 0), (9, 0)] {
            assert_eq!(start_of_last_lines(&file, count).unwrap(), lines * length, "{count}");
        }
        file.write_all(b"no line end").unwrap();
        assert_eq!(start_of_last_lines(&file, 1).unwrap(), 5 * length);
        assert_eq!(start_of_last_lines(&file, 2).unwrap(), 4 * length);
        assert_eq!(start_of_last_lines(&tempfile::tempfile().unwrap(), 3).unwrap(), 0);
    }
}
