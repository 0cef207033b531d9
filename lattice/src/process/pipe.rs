//! The pipe that is an engine's stdout and stderr, and its only reader. A pipe cannot be truncated by
//! `echo > /dev/stderr`, and nobody ever waits for its end: a daemon may hold it for days.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fs_err::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::io::Errno;

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

/// Moves what engines print into the log file.
pub struct LogPump {
    pipe: OwnedFd,
    log: std::fs::File,
    /// Set for good when the file system refuses to splice.
    copies: bool,
    /// Bytes that a full disk did not take. The engine is never made to wait for space.
    lost: u64,
    /// A second place for everything, where a person watches. Then nothing is spliced.
    echo: Option<std::fs::File>,
    /// Nobody holds the write end any more. The descriptor stays readable for ever, so it must not be polled.
    closed: bool,
}

impl LogPump {
    /// Not O_APPEND, which splice(2) refuses with EINVAL: this is the log's only writer.
    pub fn open(pipe: OwnedFd, log: &Path) -> io::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(log)?;
        let mut log = file.into_file();
        log.seek(SeekFrom::End(0))?;
        Ok(Self { pipe, log, copies: false, lost: 0, echo: None, closed: false })
    }

    #[must_use]
    pub fn echoing(self, to: std::fs::File) -> Self {
        Self { copies: true, echo: Some(to), ..self }
    }

    /// Takes everything that is in the pipe now and returns how many bytes came.
    pub fn pump(&mut self) -> io::Result<u64> {
        let mut moved = 0;
        loop {
            match self.step() {
                Ok(0) => {
                    self.closed = true;
                    return Ok(moved);
                }
                Ok(count) => moved += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(moved),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn step(&mut self) -> io::Result<u64> {
        if !self.copies {
            match splice_all(&self.pipe, &self.log) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.copies = true,
                done => return done,
            }
        }
        let mut buffer = [0; 16 * 1024];
        let count = rustix::io::read(&self.pipe, &mut buffer)?;
        if self.log.write_all(&buffer[..count]).is_err() {
            self.lost += count as u64;
        }
        if let Some(echo) = &mut self.echo
            && echo.write_all(&buffer[..count]).is_err()
        {
            // The terminal is gone; the run goes on.
            self.echo = None;
        }
        Ok(count as u64)
    }
}

#[cfg(target_os = "linux")]
fn splice_all(from: &OwnedFd, to: &std::fs::File) -> io::Result<u64> {
    use rustix::pipe::{SpliceFlags, splice};
    match splice(from, None, to, None, 1 << 20, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
        Ok(count) => Ok(count as u64),
        Err(Errno::INTR) => Err(io::ErrorKind::Interrupted.into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn splice_all(_from: &OwnedFd, _to: &std::fs::File) -> io::Result<u64> {
    Err(Errno::NOSYS.into())
}

impl AsFd for LogPump {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// The whole lines in the last `window` bytes of a log, with invalid UTF-8 replaced. A line that the window cuts is
/// left out: half a secret is not recognised as one.
pub fn last_lines(log: &Path, window: u64) -> io::Result<String> {
    let mut file = fs_err::File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(window)))?;
    let mut end = Vec::new();
    file.take(window).read_to_end(&mut end)?;
    if length > window {
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
    fn the_pump_takes_what_is_there_and_never_waits_for_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let (read, write) = create().unwrap();
        let mut pump = LogPump::open(read, &log).unwrap();
        assert_eq!(pump.pump().unwrap(), 0);
        rustix::io::write(&write, b"one\ntwo\n").unwrap();
        assert_eq!(pump.pump().unwrap(), 8);
        rustix::io::write(&write, b"three").unwrap();
        drop(write);
        assert_eq!(pump.pump().unwrap(), 5);
        assert_eq!(fs_err::read_to_string(&log).unwrap(), "one\ntwo\nthree");
        assert_eq!(last_lines(&log, 4096).unwrap(), "one\ntwo\nthree");
        assert_eq!(last_lines(&log, 7).unwrap(), "three");
    }
}
