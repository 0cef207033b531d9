//! The log of a run, of bounded size: its beginning and its end are kept, the middle goes. One process at a time
//! writes it.
//!
//! The middle becomes a hole, so every kept byte stays where it was; where the file system can make none, the end
//! moves up to the beginning, and the log becomes shorter.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::io::Errno;

use super::sparse;
use crate::model::outcome::Losses;

/// Holes begin and end on multiples of this; smaller ones free nothing.
pub(super) const BLOCK: u64 = 4096;

const BUFFER: usize = 16 * 1024;

/// What is said where the end has moved up.
pub(super) const MOVED: &[u8] = b"\n[the middle of this log was dropped]\n";

/// The file, and what has become of it.
pub(super) struct LogFile {
    log: File,
    /// Where the next byte goes.
    end: u64,
    cap: Cap,
    /// The end of the hole so far; at first the end of the beginning.
    gone: u64,
    /// Set for good when the file system refuses to make holes.
    pub(super) moves: bool,
    losses: Losses,
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

impl LogFile {
    /// Not O_APPEND, which splice(2) refuses with EINVAL.
    pub(super) fn open(log: &Path, limit: u64) -> io::Result<Self> {
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
        Ok(Self { log, end, cap, gone, moves: false, losses })
    }

    /// The same after an `exec`, of a log that has lost nothing so far. Its description knows where the next byte goes.
    pub(super) fn resume(mut log: File, limit: u64) -> io::Result<Self> {
        let (cap, end) = (Cap::new(limit), log.stream_position()?);
        Ok(Self { log, end, cap, gone: cap.head, moves: false, losses: Losses::default() })
    }

    pub(super) fn file(&self) -> &File {
        &self.log
    }

    pub(super) fn losses(&self) -> Losses {
        self.losses
    }

    /// What the kernel can move without us.
    pub(super) fn splice(&mut self, from: &OwnedFd) -> io::Result<u64> {
        let count = splice_all(from, &self.log)?;
        self.end += count;
        Ok(count)
    }

    /// What the disk does not take is counted, and gone.
    pub(super) fn write(&mut self, mut bytes: &[u8]) {
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

    pub(super) fn trim(&mut self) {
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

    /// Only the last half of the end is kept each time, so that it is not moved for every line. Not inlined, for the
    /// pages of its buffer.
    #[inline(never)]
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
