//! A stretch of work in which the terminal must not take this process away: stopped or dead it would keep what
//! others wait for.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Ctrl-C, Ctrl-Z and the hangup wait until this is dropped. Of this thread only; no other one takes them.
pub struct Undisturbed {
    before: SigSet,
}

impl Undisturbed {
    pub fn begin() -> io::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGTSTP]
            .into_iter()
            .collect();
        Ok(Self { before: signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)? })
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        // Only a bad address is refused.
        let _restored = self.before.thread_set_mask();
    }
}
