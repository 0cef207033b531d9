//! Copies a log that grows.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use lattice::model::failure::Result;
use lattice::process::sparse;

use crate::cli::out::Out;

const BLOCK: usize = 64 << 10;

/// A place in a log. The file need not be there yet: it comes with the run's first output.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    /// Whether what was given last was a whole line, or nothing yet.
    at_line_start: bool,
}

/// What comes next in a log.
enum Piece {
    Bytes(usize),
    /// So many bytes that the log has not kept.
    Gap(u64),
    End,
}

impl Tail {
    /// The whole log, or only its last lines.
    pub(super) fn open(path: PathBuf, last_lines: Option<usize>) -> Result<Self> {
        let mut tail = Self { path, file: None, offset: 0, at_line_start: true };
        if let (Some(file), Some(count)) = (tail.file()?, last_lines) {
            tail.offset = start_of_last_lines(file, count)?;
        }
        Ok(tail)
    }

    /// Writes what has come since the last time.
    pub(super) fn copy(&mut self, out: &Out) -> Result<()> {
        self.each_piece(&mut |bytes| out.bytes(bytes))?;
        out.flush()
    }

    /// Everything from here to the present end.
    pub(super) fn text(&mut self) -> Result<String> {
        let mut text = Vec::new();
        self.each_piece(&mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn each_piece(&mut self, give: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            match self.read(&mut block)? {
                Piece::End => return Ok(()),
                Piece::Bytes(count) => {
                    self.at_line_start = block[count - 1] == b'\n';
                    give(&block[..count])?;
                }
                Piece::Gap(length) => {
                    let before = if self.at_line_start { "" } else { "\n" };
                    give(
                        format!("{before}[{length} bytes of the log were dropped here]\n")
                            .as_bytes(),
                    )?;
                    self.at_line_start = true;
                }
            }
        }
    }

    /// The writer may make a hole at any moment, so it is looked for before the read and behind it.
    fn read(&mut self, block: &mut [u8]) -> io::Result<Piece> {
        let offset = self.offset;
        let Some(file) = self.file()? else { return Ok(Piece::End) };
        // A log that has become shorter was begun anew, or its end has moved up.
        let offset = if file.metadata()?.len() < offset { 0 } else { offset };
        let mut data = sparse::next_data(file, offset)?;
        let mut count = 0;
        if data == offset {
            let most =
                usize::try_from(sparse::next_hole(file, offset)? - offset).unwrap_or(usize::MAX);
            let most = most.min(block.len());
            count = file.read_at(&mut block[..most], offset)?;
            data = sparse::next_data(file, offset)?;
        }
        if data > offset && file.metadata()?.len() > offset {
            self.offset = data;
            return Ok(Piece::Gap(data - offset));
        }
        self.offset = offset + u64::try_from(count).expect("a block fits 64 bits");
        Ok(if count == 0 { Piece::End } else { Piece::Bytes(count) })
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
    let gap = sparse::gap(file)?.unwrap_or_default();
    while end > 0 {
        let mut start = end.saturating_sub(BLOCK as u64);
        if (gap.start + 1..=gap.end).contains(&end) {
            // In a hole there are no lines, and it may be long.
            end = gap.start;
            continue;
        }
        if gap.contains(&start) {
            start = gap.end;
        }
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

    #[test]
    fn a_hole_is_said_once_and_has_no_lines() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let line = format!("{}\n", "x".repeat(BLOCK - 1));
        file.write_all(format!("first\n{}last\n", line.repeat(4)).as_bytes()).unwrap();
        let block = BLOCK as u64;
        if sparse::punch(file.as_file(), block..4 * block).is_err() {
            return;
        }
        let text = Tail::open(path.clone(), None).unwrap().text().unwrap();
        let said = format!("\n[{} bytes of the log were dropped here]\n", 3 * block);
        assert!(text.starts_with("first\nxxx") && text.ends_with("xxx\nlast\n"), "{}", text.len());
        assert!(text.contains(&said) && !text.contains('\0'));
        assert_eq!(Tail::open(path.clone(), Some(1)).unwrap().text().unwrap(), "last\n");
        let all = Tail::open(path, Some(1000)).unwrap().text().unwrap();
        assert_eq!(all, text);
    }
}
