//! Lines over a socket pair: the hand-shake of CLI and supervisor, and descriptors from one supervisor to the other.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The most that go with one line.
const DESCRIPTORS: usize = 16;

/// One end of a stream socket pair that carries newline-terminated text.
pub struct Channel {
    socket: OwnedFd,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    closed: bool,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Line(String),
    /// Nothing whole has arrived yet.
    Nothing,
    /// The other side is gone, and every line of it has been read.
    Closed,
}

/// Both ends close on exec; hand one over as a standard stream.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (left, right) = socketpair(AddressFamily::UNIX, SocketType::STREAM, close_on_exec(), None)?;
    #[cfg(target_vendor = "apple")]
    for end in [&left, &right] {
        rustix::net::sockopt::set_socket_nosigpipe(end, true)?;
    }
    Ok((left, right))
}

/// A peer that is gone is an error and no SIGPIPE: by a flag of each send, or, where there is no such flag, by the
/// option that [`pair`] gives both sockets.
fn without_signal() -> SendFlags {
    #[cfg(not(target_vendor = "apple"))]
    return SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    return SendFlags::empty();
}

#[cfg(target_os = "linux")]
fn close_on_exec() -> SocketFlags {
    SocketFlags::CLOEXEC
}

/// Where the flag is missing the standard library's spawn closes what it does not pass on.
#[cfg(not(target_os = "linux"))]
fn close_on_exec() -> SocketFlags {
    SocketFlags::empty()
}

impl Channel {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, received: Vec::new(), descriptors: Vec::new(), closed: false }
    }

    /// A peer that is gone is an error here, never a signal.
    pub fn send(&self, line: &str) -> io::Result<()> {
        self.send_with(line, &[])
    }

    /// A line and descriptors, which arrive with its first byte (unix(7), SCM_RIGHTS).
    pub fn send_with(&self, line: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        let bytes = format!("{line}\n").into_bytes();
        let mut sent = 0;
        while sent < bytes.len() {
            match sendmsg(
                &self.socket,
                &[IoSlice::new(&bytes[sent..])],
                &mut control,
                without_signal(),
            ) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            control.clear();
        }
        Ok(())
    }

    /// Waits at most `limit` for a whole line; `Nothing` means that the time is over.
    pub fn receive_within(&mut self, limit: std::time::Duration) -> io::Result<Received> {
        let deadline = std::time::Instant::now() + limit;
        loop {
            match self.receive()? {
                Received::Nothing => {}
                received => return Ok(received),
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(Received::Nothing);
            }
            let timeout = Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Never waits.
    pub fn receive(&mut self) -> io::Result<Received> {
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(Received::Line(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.closed {
                return Ok(Received::Closed);
            }
            if !self.fill()? {
                return Ok(Received::Nothing);
            }
        }
    }

    /// Nothing has arrived that nobody has asked for yet.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty() && self.descriptors.is_empty()
    }

    /// The descriptors that have arrived so far, in the order in which they were sent.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// Reads what is there; `false` if nothing is.
    fn fill(&mut self) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 1024];
        let flags = RecvFlags::DONTWAIT | receive_close_on_exec();
        let count =
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, flags) {
                Ok(message) => message.bytes,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => return Ok(true),
                Err(Errno::CONNRESET) => 0,
                Err(error) => return Err(error.into()),
            };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        self.closed = count == 0;
        self.received.extend_from_slice(&buffer[..count]);
        Ok(true)
    }
}

#[cfg(target_os = "linux")]
fn receive_close_on_exec() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

#[cfg(not(target_os = "linux"))]
fn receive_close_on_exec() -> RecvFlags {
    RecvFlags::empty()
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_descriptors_arrive_and_then_the_end() {
        let (left, right) = pair().unwrap();
        let (mut left, right) = (Channel::new(left), Channel::new(right));
        assert_eq!(left.receive().unwrap(), Received::Nothing);
        let (read, write) = rustix::pipe::pipe().unwrap();
        right.send_with("two", &[read.as_fd(), write.as_fd()]).unwrap();
        right.send("more").unwrap();
        drop(right);
        assert_eq!(left.receive().unwrap(), Received::Line("two".into()));
        assert_eq!(left.take_descriptors().len(), 2);
        assert_eq!(left.receive().unwrap(), Received::Line("more".into()));
        assert_eq!(left.receive().unwrap(), Received::Closed);
    }
}
