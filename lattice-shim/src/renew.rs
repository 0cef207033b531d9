//! A supervisor that has a long wait before it becomes itself anew, by `exec`: it keeps its number, its children, its
//! session and its signals, and drops every page that the preparations have written. Half of what a run costs in
//! memory were these.
//!
//! Descriptors, the life lock among them, and what it must know go through a socket: until the new image has taken
//! them, the kernel holds what is on its way (unix(7)). What only the end needs waits in a sealed file in memory. Where
//! the exec fails the supervisor goes on as it is.

use std::cell::LazyCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use lattice::model::failure::{Failure, Result};
use lattice::model::mask::Mask;
use lattice::process::channel::{self, Channel, Received};
use lattice::process::{inherit, sealed, spawn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::seat::Seat;

/// A run that is over before costs no exec.
pub(crate) const AFTER: Duration = Duration::from_millis(250);

/// Between a line that the old image has sent and one that the new one reads there is nobody to be waited for.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What is read when the end needs it.
pub(crate) type Later<T> = LazyCell<T, Box<dyn FnOnce() -> T>>;

/// What came through the exec.
pub(crate) struct Renewed<T> {
    pub(crate) state: T,
    /// In the order in which they were sent: the life lock's two, the kept spec, the kept mask, the role's own.
    descriptors: std::vec::IntoIter<OwnedFd>,
}

/// Comes back only with an error. All signals are blocked: those that come meanwhile are the new image's.
pub(crate) fn renew(
    role: &str,
    seat: &Seat,
    mask: &Mask,
    state: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Error {
    let error = match send(seat, mask, state, descriptors) {
        Ok(()) => spawn::become_own_role(&[
            OsStr::new(role),
            OsStr::new(WAITS),
            seat.run.path().as_os_str(),
        ]),
        Err(error) => error,
    };
    // Drops what was sent: the descriptors of this image are all there.
    drop(inherit::read_from(Path::new("/dev/null")));
    error
}

/// The word behind a role that has been renewed.
pub(crate) const WAITS: &str = "waits";

fn send(
    seat: &Seat,
    mask: &Mask,
    state: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let spec = sealed::keep(&serde_json::to_vec(&*seat.spec)?)?;
    let mask = sealed::keep(&serde_json::to_vec(mask)?)?;
    let (to, from) = channel::pair()?;
    let (lock, ended) = (&seat.life.lock, &seat.life.ended);
    let mut all = vec![lock.as_fd(), ended.as_fd(), spec.as_fd(), mask.as_fd()];
    all.extend(descriptors);
    Channel::new(to).send_with(&serde_json::to_string(state)?, &all)?;
    Ok(rustix::stdio::dup2_stdin(from)?)
}

pub(crate) fn take<T: DeserializeOwned>() -> Result<Renewed<T>> {
    let mut channel = Channel::new(inherit::take_standard_input()?);
    let Received::Line(line) = channel.receive_within(AT_ONCE)? else {
        return Err(Failure::internal("nothing was handed to the new image"));
    };
    let state =
        serde_json::from_str(&line).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Renewed { state, descriptors: channel.take_descriptors().into_iter() })
}

impl<T> Renewed<T> {
    pub(crate) fn next(&mut self) -> Result<OwnedFd> {
        let missing = || Failure::internal("a descriptor is missing in the new image");
        self.descriptors.next().ok_or_else(missing)
    }

    /// The next is of something kept.
    pub(crate) fn kept<V: DeserializeOwned>(&mut self) -> Result<V> {
        Ok(opened(&File::from(self.next()?)))
    }

    /// The same, not opened before it is needed.
    pub(crate) fn later<V: DeserializeOwned + 'static>(&mut self) -> Result<Later<V>> {
        let kept = File::from(self.next()?);
        Ok(LazyCell::new(Box::new(move || opened(&kept))))
    }
}

/// What is there already.
pub(crate) fn now<T: 'static>(value: T) -> Later<T> {
    LazyCell::new(Box::new(move || value))
}

/// Not inlined: its frame would be one of the wait.
#[inline(never)]
fn opened<T: DeserializeOwned>(kept: &File) -> T {
    let read = sealed::read(kept).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.expect("it is our own, and sealed")
}
