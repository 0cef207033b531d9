//! Moves what engines print into a log of bounded size: its beginning and its end are kept, the middle goes.
//!
//! This is the log's only writer. The middle becomes a hole, so every kept byte stays where it was; where the file
//! system can make none, the end moves up to the beginning, and the log becomes shorter.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::io::Errno;

use super::sparse;
use crate::model::outcome::Losses;

/// Holes begin and end on multiples of this; smaller ones free nothing.
const BLOCK: u64 = 4096;

/// A fast engine must not keep its supervisor from looking at the clock. Far more than a pipe holds.
const AT_ONCE: u64 = 64 << 20;

const BUFFER: usize = 16 * 1024;

/// What is said where the end has moved up.
const MOVED: &[u8] = b"\n[the middle of this log was dropped]\n";

/// Moves what engines print into the log file.
pub struct LogPump {
    pipe: OwnedFd,
    log: File,
    /// Where the next byte goes.
    end: u64,
    cap: Cap,
    /// The end of the hole so far; at first the end of the beginning.
    gone: u64,
    /// Set for good when the file system refuses to splice.
    copies: bool,
    /// Set for good when it refuses to make holes.
    moves: bool,
    losses: Losses,
    /// A second place for everything, where a person watches. Then nothing is spliced.
    echo: Option<File>,
    /// Nobody holds the write end any more. The descriptor stays readable for ever, so it must not be polled.
    closed: bool,
}

/// The sizes that follow from a limit.
#[derive(Debug, Clone, Copy)]
struct Cap {
    head: u64,
    tail: u64,
    /// What a new piece of the hole is worth making for.
    step: u64,
}

impl Cap {
    fn new(limit: u64) -> Self {
        let limit = limit.max(2 * BLOCK);
        let head = blocks(limit / 2);
        Self { head, tail: limit - head, step: blocks(limit / 16).clamp(BLOCK, 4 << 20) }
    }
}

fn blocks(bytes: u64) -> u64 {
    bytes / BLOCK * BLOCK
}

impl LogPump {
    /// Not O_APPEND, which splice(2) refuses with EINVAL: this is the log's only writer.
    pub fn open(pipe: OwnedFd, log: &Path, limit: u64) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(log)?;
        let mut log = file.into_file();
        let cap = Cap::new(limit);
        // Another writer may have been at work before.
        let gone = sparse::gap(&log)?.map_or(cap.head, |gap| gap.end.max(cap.head));
        let losses = Losses { dropped: gone - cap.head, unwritten: 0 };
        let end = log.seek(SeekFrom::End(0))?;
        Ok(Self {
            pipe,
            log,
            end,
            cap,
            gone,
            copies: false,
            moves: false,
            losses,
            echo: None,
            closed: false,
        })
    }

    #[must_use]
    pub fn echoing(self, to: File) -> Self {
        Self { copies: true, echo: Some(to), ..self }
    }

    /// Takes what is in the pipe now and returns how many bytes came.
    pub fn pump(&mut self) -> io::Result<u64> {
        let mut moved = 0;
        while moved < AT_ONCE {
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
            self.trim();
        }
        Ok(moved)
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn losses(&self) -> Losses {
        self.losses
    }

    fn step(&mut self) -> io::Result<u64> {
        if !self.copies {
            match splice_all(&self.pipe, &self.log) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                // It may have room again, and then splice again.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
                Err(_) => self.copies = true,
            }
        }
        let mut buffer = [0; BUFFER];
        let count = rustix::io::read(&self.pipe, &mut buffer)?;
        self.write(&buffer[..count]);
        if let Some(echo) = &mut self.echo
            && echo.write_all(&buffer[..count]).is_err()
        {
            // The terminal is gone; the run goes on.
            self.echo = None;
        }
        Ok(count as u64)
    }

    /// What the disk does not take is counted, and gone.
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.log.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    self.losses.unwritten += bytes.len() as u64;
                    return;
                }
                Ok(count) => {
                    self.end += count as u64;
                    bytes = &bytes[count..];
                }
            }
        }
    }

    fn trim(&mut self) {
        if self.moves {
            // A failure leaves the log longer than it should be, and the next step tries again.
            drop(self.move_up());
            return;
        }
        let to = blocks(self.end.saturating_sub(self.cap.tail));
        if to < self.gone + self.cap.step {
            return;
        }
        match sparse::punch(&self.log, self.gone..to) {
            Ok(()) => {
                self.losses.dropped += to - self.gone;
                self.gone = to;
            }
            Err(error) if cannot(&error) => self.moves = true,
            // On a full disk even a hole may need room; there is less to write soon.
            Err(_) => {}
        }
    }

    /// Only the last half of the end is kept each time, so that it is not moved for every line.
    fn move_up(&mut self) -> io::Result<()> {
        let Cap { head, tail, .. } = self.cap;
        if self.end < head + tail {
            return Ok(());
        }
        let (mut from, mut to) = (self.end - tail / 2, head);
        // An older remark is none of the engine's bytes.
        let remark = if self.losses.dropped > 0 { MOVED.len() as u64 } else { 0 };
        self.losses.dropped += from - to - remark;
        self.log.write_all_at(MOVED, to)?;
        to += MOVED.len() as u64;
        let mut buffer = [0; BUFFER];
        loop {
            let count = self.log.read_at(&mut buffer, from)?;
            if count == 0 {
                break;
            }
            self.log.write_all_at(&buffer[..count], to)?;
            (from, to) = (from + count as u64, to + count as u64);
        }
        self.log.set_len(to)?;
        self.end = self.log.seek(SeekFrom::Start(to))?;
        Ok(())
    }
}

fn cannot(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
        || Errno::from_io_error(error).is_some_and(|errno| errno == Errno::NODEV)
}

#[cfg(target_os = "linux")]
fn splice_all(from: &OwnedFd, to: &File) -> io::Result<u64> {
    use rustix::pipe::{SpliceFlags, splice};
    match splice(from, None, to, None, 1 << 20, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
        Ok(count) => Ok(count as u64),
        Err(Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn splice_all(_from: &OwnedFd, _to: &File) -> io::Result<u64> {
    Err(Errno::NOSYS.into())
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

    use super::super::pipe;
    use super::*;

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
        pump.moves = true;
        let printed = print(&mut pump, &write, 0..100_000);
        let text = fs_err::read_to_string(dir.path().join("log")).unwrap();
        // At most one pipe longer between two looks.
        assert!(text.len() as u64 <= LIMIT + 64 * 1024 && text.contains("was dropped]\n"));
        assert!(text.starts_with("0000000\n0000001\n") && text.ends_with("0099999\n"));
        let moves = text.matches("was dropped]").count();
        assert_eq!(moves, 1, "the older remark is dropped with its place");
        assert_eq!(printed, pump.losses().dropped + text.len() as u64 - MOVED.len() as u64);
    }
}
