//! What every command is given: who calls, where the project is, where to write.

use lattice::model::failure::Result;
use lattice::storage::layout::Layout;

use super::caller::Caller;
use super::interrupt::Interrupts;
use super::out::Out;
use crate::render::clock::Clock;

pub(crate) struct Session {
    pub(crate) caller: Caller,
    pub(crate) out: Out,
    pub(crate) interrupts: Interrupts,
}

impl Session {
    pub(crate) fn new(out: Out, caller: Caller) -> Self {
        Self { caller, out, interrupts: Interrupts::default() }
    }

    /// Now, and where the caller is: `TZ`, else the machine's zone.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            now: jiff::Timestamp::now(),
            zone: jiff::tz::TimeZone::system(),
            for_person: self.caller.stdout_is_tty,
        }
    }

    /// The project around the caller's directory, or the one that `LATTICE_ROOT` names.
    pub(crate) fn layout(&self) -> Result<Layout> {
        Layout::discover(self.caller.cwd()?, self.caller.var("LATTICE_ROOT"))
    }
}
