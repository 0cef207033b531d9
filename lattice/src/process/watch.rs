//! The one place where a supervisor sleeps: until a signal, a descriptor or a deadline.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::arrivals::{Arrivals, mask};

/// The signals that ask a supervisor to stop; a second one of any means at once.
pub const STOP_SIGNALS: [Signal; 4] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// By default these kill a supervisor whose caller has set `ulimit -f` or `ulimit -t`. With a handler a write past
/// the limit is an error like any other (setrlimit(2)).
const LIMIT_SIGNALS: [Signal; 2] = [Signal::SIGXFSZ, Signal::SIGXCPU];

/// Ctrl-Z. A supervisor that stopped would leave its run without a limit and with a full pipe.
const PAUSE: Signal = Signal::SIGTSTP;

/// What tells of signals by a descriptor.
pub struct Watch {
    arrivals: Arrivals,
}

/// What ended a wait.
#[derive(Debug, Default)]
pub struct Woken {
    /// One flag for each descriptor that was watched: data, EOF or an error is there to be read.
    pub ready: Vec<bool>,
    /// SIGCHLD and whatever else arrived; SIGCHLD stands for any number of children.
    pub signals: Vec<Signal>,
}

impl Watch {
    /// Signals that arrived while all were blocked are told at the first wait.
    pub fn install() -> io::Result<Self> {
        let arrivals = Arrivals::of(handled())?;
        Self::let_in()?;
        Ok(Self { arrivals })
    }

    /// Ends a time in which all signals were blocked.
    pub fn let_in() -> io::Result<()> {
        Ok(mask(handled()).thread_set_mask()?)
    }

    /// Returns at once when a signal has already arrived. `None` waits without an end.
    pub fn wait(
        &mut self,
        watched: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<Woken> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.arrivals.as_fd(), PollFlags::IN)];
        fds.extend(watched.iter().map(|&fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, timeout(deadline).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds[1..].iter().map(|fd| !fd.revents().is_empty()).collect();
        Ok(Woken { ready, signals: self.arrivals.take()? })
    }
}

fn handled() -> impl Iterator<Item = Signal> {
    STOP_SIGNALS.into_iter().chain(LIMIT_SIGNALS).chain([PAUSE, Signal::SIGCHLD])
}

fn timeout(deadline: Option<Instant>) -> Option<Timespec> {
    let left = deadline?.saturating_duration_since(Instant::now()).min(Duration::from_hours(24));
    Some(Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() })
}
