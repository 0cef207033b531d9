//! Moves what engines print from their pipe into the log, secrets hidden.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::log_file::LogFile;
use crate::model::mask::Veil;
use crate::model::outcome::Losses;

/// A fast engine must not keep its supervisor from looking at the clock. Far more than a pipe holds.
const AT_ONCE: u64 = 64 << 20;
/// The same where every byte is looked at: a secret that is made for it takes a thousand times as long.
const AT_ONCE_VEILED: u64 = 1 << 20;

const BUFFER: usize = 16 * 1024;

/// The log's only writer, with the pipe's read end.
pub struct LogPump {
    pipe: OwnedFd,
    log: LogFile,
    /// Set for good when the file system refuses to splice.
    copies: bool,
    /// What the log must not show. Then nothing is spliced.
    veil: Option<Veil>,
    /// A second place for everything, where a person watches. Then nothing is spliced.
    echo: Option<File>,
    /// Nobody holds the write end any more. The descriptor stays readable for ever, so it must not be polled.
    closed: bool,
}

impl LogPump {
    pub fn open(pipe: OwnedFd, log: &Path, limit: u64) -> io::Result<Self> {
        let log = LogFile::open(log, limit)?;
        Ok(Self { pipe, log, copies: false, veil: None, echo: None, closed: false })
    }

    /// The same after an `exec`, with the log as it was [at rest](Self::at_rest).
    pub fn resume(pipe: OwnedFd, log: File, limit: u64) -> io::Result<Self> {
        let log = LogFile::resume(log, limit)?;
        Ok(Self { pipe, log, copies: false, veil: None, echo: None, closed: false })
    }

    /// The log, if nothing is held back and nothing lost: then whoever has it and the pipe can go on.
    pub fn at_rest(&self) -> Option<&File> {
        let is_whole = self.losses() == Losses::default();
        let is_empty = self.veil.as_ref().is_none_or(Veil::is_empty);
        (is_whole && is_empty && self.echo.is_none()).then(|| self.log.file())
    }

    /// With `None` there is nothing to hide.
    #[must_use]
    pub fn behind(self, veil: Option<Veil>) -> Self {
        Self { veil, ..self }
    }

    #[must_use]
    pub fn echoing(self, to: File) -> Self {
        Self { echo: Some(to), ..self }
    }

    /// Takes what is in the pipe now and returns how many bytes came.
    pub fn pump(&mut self) -> io::Result<u64> {
        let at_once = if self.veil.is_some() { AT_ONCE_VEILED } else { AT_ONCE };
        let mut moved = 0;
        while moved < at_once {
            match self.step() {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(count) => moved += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.log.trim();
        }
        Ok(moved)
    }

    /// Writes what is held back because it may be the beginning of a secret, for one who wants to read the log now.
    /// Returns how many bytes that were.
    pub fn write_rest(&mut self) -> u64 {
        let Some(veil) = &mut self.veil else { return 0 };
        let rest = veil.rest();
        put(&mut self.log, &mut self.echo, rest);
        rest.len() as u64
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn losses(&self) -> Losses {
        self.log.losses()
    }

    fn step(&mut self) -> io::Result<u64> {
        if !self.copies && self.veil.is_none() && self.echo.is_none() {
            match self.log.splice(&self.pipe) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // It may have room again, and then splice again.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(_) => self.copies = true,
                Ok(count) => return Ok(count),
            }
        }
        if let Some(veil) = &mut self.veil {
            let count = rustix::io::read(&self.pipe, veil.room())?;
            put(&mut self.log, &mut self.echo, veil.take(count));
            return Ok(count as u64);
        }
        self.copy()
    }

    /// Not inlined: where the kernel moves the output the buffer would cost its pages all the same.
    #[inline(never)]
    fn copy(&mut self) -> io::Result<u64> {
        let mut buffer = [0; BUFFER];
        let count = rustix::io::read(&self.pipe, &mut buffer)?;
        put(&mut self.log, &mut self.echo, &buffer[..count]);
        Ok(count as u64)
    }
}

fn put(log: &mut LogFile, echo: &mut Option<File>, bytes: &[u8]) {
    log.write(bytes);
    if let Some(terminal) = echo
        && terminal.write_all(bytes).is_err()
    {
        // The terminal is gone; the run goes on.
        *echo = None;
    }
}

impl AsFd for LogPump {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::os::unix::fs::MetadataExt;

    use std::ffi::OsStr;

    use super::super::log_file::{BLOCK, MOVED};
    use super::super::{pipe, sparse};
    use super::*;
    use crate::model::mask::Mask;

    fn pump(limit: u64) -> (tempfile::TempDir, LogPump, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let (read, write) = pipe::create().unwrap();
        let pump = LogPump::open(read, &dir.path().join("log"), limit).unwrap();
        (dir, pump, write)
    }

    fn print(pump: &mut LogPump, write: &OwnedFd, numbers: std::ops::Range<u32>) -> u64 {
        let mut printed = 0;
        for number in numbers {
            let mut line = String::new();
            writeln!(line, "{number:07}").unwrap();
            rustix::io::write(write, line.as_bytes()).unwrap();
            printed += line.len() as u64;
            if number % 1000 == 0 {
                pump.pump().unwrap();
            }
        }
        pump.pump().unwrap();
        printed
    }

    #[test]
    fn the_pump_takes_what_is_there_and_never_waits_for_the_end() {
        let (dir, mut pump, write) = pump(1 << 30);
        assert_eq!(pump.pump().unwrap(), 0);
        rustix::io::write(&write, b"one\ntwo\n").unwrap();
        assert_eq!(pump.pump().unwrap(), 8);
        rustix::io::write(&write, b"three").unwrap();
        drop(write);
        assert_eq!(pump.pump().unwrap(), 5);
        let text = fs_err::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!((text.as_str(), pump.losses()), ("one\ntwo\nthree", Losses::default()));
    }

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end_where_they_were() {
        const LIMIT: u64 = 64 * 1024;
        let (dir, mut pump, write) = pump(LIMIT);
        let printed = print(&mut pump, &write, 0..100_000);
        let log = fs_err::File::open(dir.path().join("log")).unwrap().into_file();
        let Some(gap) = sparse::gap(&log).unwrap() else { return };
        assert_eq!(log.metadata().unwrap().len(), printed);
        assert_eq!((gap.start, pump.losses().dropped), (LIMIT / 2, gap.end - gap.start));
        assert!(printed - gap.end >= LIMIT / 2, "the whole end");
        assert!(log.metadata().unwrap().blocks() * 512 <= LIMIT + LIMIT / 16 + BLOCK);
        let text = fs_err::read(dir.path().join("log")).unwrap();
        assert!(text.starts_with(b"0000000\n0000001\n") && text.ends_with(b"0099999\n"));
        // Another writer goes on with it.
        let (read, write) = pipe::create().unwrap();
        let mut next = LogPump::open(read, &dir.path().join("log"), LIMIT).unwrap();
        assert_eq!(next.losses().dropped, gap.end - gap.start);
        print(&mut next, &write, 100_000..200_000);
        let later = sparse::gap(&log).unwrap().unwrap();
        assert_eq!((later.start, next.losses().dropped), (gap.start, later.end - later.start));
        assert!(later.end > gap.end);
    }

    #[test]
    fn without_holes_the_end_moves_up() {
        const LIMIT: u64 = 64 * 1024;
        let (dir, mut pump, write) = pump(LIMIT);
        pump.log.moves = true;
        let printed = print(&mut pump, &write, 0..100_000);
        let text = fs_err::read_to_string(dir.path().join("log")).unwrap();
        // At most one pipe longer between two looks.
        assert!(text.len() as u64 <= LIMIT + 64 * 1024 && text.contains("was dropped]\n"));
        assert!(text.starts_with("0000000\n0000001\n") && text.ends_with("0099999\n"));
        let moves = text.matches("was dropped]").count();
        assert_eq!(moves, 1, "the older remark is dropped with its place");
        assert_eq!(printed, pump.losses().dropped + text.len() as u64 - MOVED.len() as u64);
    }

    #[test]
    fn a_veiled_log_has_every_byte_in_its_place_and_no_secret() {
        let (dir, pump, write) = pump(1 << 30);
        let mask = Mask::new([(OsStr::new("A_KEY"), OsStr::new("tulip-4711"))]);
        let mut pump = pump.behind(mask.veil());
        let said = || fs_err::read_to_string(dir.path().join("log")).unwrap();
        for piece in ["one tulip", "-47", "11 two tul"] {
            rustix::io::write(&write, piece.as_bytes()).unwrap();
            assert_eq!(pump.pump().unwrap(), piece.len() as u64);
        }
        assert_eq!(said(), "one <A_KEY>*** two ");
        assert_eq!((pump.write_rest(), pump.write_rest()), (3, 0));
        assert_eq!(said(), "one <A_KEY>*** two tul");
    }
}
