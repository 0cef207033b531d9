//! Being one of a shell's jobs while the whole screen is drawn: Ctrl-Z, `bg` and `fg`, and a window that changes.

use std::io;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::getpgrp;
use rustix::termios::tcgetpgrp;

#[cfg(target_os = "linux")]
use nix::sys::{
    signal::SigmaskHow,
    signalfd::{SfdFlags, SignalFd},
};

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The time is over, a signal has come that somebody else hears, or the window has another size.
    Draw,
    /// Ctrl-Z: the screen has to be given back before the process stops.
    Suspend,
}

/// As long as this lives, SIGTSTP and SIGWINCH wait for us to look. Blocked, not handled: only the default of SIGTSTP
/// knows that nobody could wake an orphaned process group, and leaves that alone (setpgid(2)).
pub(crate) struct Job {
    before: SigSet,
    #[cfg(target_os = "linux")]
    pending: SignalFd,
}

impl Job {
    #[cfg(target_os = "linux")]
    pub(crate) fn begin() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGTSTP, Signal::SIGWINCH]);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let pending = SignalFd::with_flags(&signals, flags)?;
        Ok(Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?, pending })
    }

    /// Without signalfd(2) a job stops with its screen as it is.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn begin() -> io::Result<Self> {
        Ok(Self { before: SigSet::thread_get_mask()? })
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn wait(&self, limit: Duration) -> io::Result<Woken> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let time = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        // EINTR is a signal with a handler, such as that of Ctrl-C.
        let _woken = poll(&mut [PollFd::new(&self.pending, PollFlags::IN)], Some(&time));
        let mut woken = Woken::Draw;
        while let Some(signal) = self.pending.read_signal()? {
            if signal.ssi_signo == Signal::SIGTSTP as u32 {
                woken = Woken::Suspend;
            }
        }
        Ok(woken)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn wait(&self, limit: Duration) -> io::Result<Woken> {
        std::thread::sleep(limit);
        Ok(Woken::Draw)
    }

    /// Stops here, as SIGTSTP does by default, until somebody continues the job.
    #[expect(clippy::unused_self, reason = "the signal is blocked only for as long as this lives")]
    pub(crate) fn suspend(&self) -> io::Result<()> {
        raise(Signal::SIGTSTP)?;
        let stop = SigSet::from_iter([Signal::SIGTSTP]);
        stop.thread_unblock()?;
        Ok(stop.thread_block()?)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.before.thread_set_mask().expect("a mask that was in force can be set again");
    }
}

/// Whether the terminal is ours to draw on; after `bg` it is the shell's. One that controls nobody is anybody's.
pub(crate) fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdout()).map_or(true, |group| group.as_raw_pid() == getpgrp().as_raw())
}
