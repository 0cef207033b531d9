//! Signals that have arrived, told by a descriptor.
//!
//! On Linux they stay blocked, and the kernel itself tells of them (signalfd(2)): no handlers, whose register costs more
//! memory than all else in a supervisor that waits. Whoever starts a process lets them in there: a mask survives exec.

#[cfg(not(target_os = "linux"))]
pub(super) use by_handlers::{Arrivals, mask};
#[cfg(target_os = "linux")]
pub(super) use by_kernel::{Arrivals, mask};

#[cfg(target_os = "linux")]
mod by_kernel {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};

    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};

    pub(in super::super) struct Arrivals(SignalFd);

    /// What is blocked while such signals are watched.
    pub(in super::super) fn mask(signals: impl Iterator<Item = Signal>) -> SigSet {
        signals.collect()
    }

    impl Arrivals {
        pub(in super::super) fn of(signals: impl Iterator<Item = Signal>) -> io::Result<Self> {
            let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
            Ok(Self(SignalFd::with_flags(&mask(signals), flags)?))
        }

        pub(in super::super) fn take(&mut self) -> io::Result<Vec<Signal>> {
            let mut taken = Vec::new();
            while let Some(arrived) = self.0.read_signal()? {
                let signal = i32::try_from(arrived.ssi_signo).ok();
                taken.extend(signal.and_then(|number| Signal::try_from(number).ok()));
            }
            Ok(taken)
        }
    }

    impl AsFd for Arrivals {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod by_handlers {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    use nix::sys::signal::{SigSet, Signal};
    use signal_hook::iterator::backend::SignalDelivery;
    use signal_hook::iterator::exfiltrator::SignalOnly;

    /// Handlers that only write a byte to a pipe, and the read end of that pipe.
    pub(in super::super) struct Arrivals(SignalDelivery<UnixStream, SignalOnly>);

    pub(in super::super) fn mask(_signals: impl Iterator<Item = Signal>) -> SigSet {
        SigSet::empty()
    }

    impl Arrivals {
        pub(in super::super) fn of(signals: impl Iterator<Item = Signal>) -> io::Result<Self> {
            let (read, write) = UnixStream::pair()?;
            let numbers = signals.map(|signal| signal as i32);
            Ok(Self(SignalDelivery::with_pipe(read, write, SignalOnly, numbers)?))
        }

        pub(in super::super) fn take(&mut self) -> io::Result<Vec<Signal>> {
            Ok(self.0.pending().filter_map(|raw| Signal::try_from(raw).ok()).collect())
        }
    }

    impl AsFd for Arrivals {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.get_read().as_fd()
        }
    }
}
