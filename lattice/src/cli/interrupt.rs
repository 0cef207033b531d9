//! Ctrl-C while a command waits: seen by the wait instead of ending the process, and only for that long.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use lattice::model::failure::{Failure, Result};

/// The process's handlers. They stay once they are there, so they are made by the first wait: a command that
/// never waits leaves even an ignored SIGINT as it was inherited.
#[derive(Default)]
pub(crate) struct Interrupts {
    flags: OnceCell<Flags>,
}

struct Flags {
    /// While set, a signal does what it would do without us.
    by_default: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
}

/// As long as this lives, SIGINT and SIGTERM only set a flag.
pub(crate) struct Watch<'a> {
    flags: &'a Flags,
}

impl Interrupts {
    pub(crate) fn watch(&self) -> Result<Watch<'_>> {
        if self.flags.get().is_none() {
            let made =
                Flags::register().map_err(|error| Failure::io("cannot handle signals", error))?;
            self.flags.get_or_init(|| made);
        }
        let flags = self.flags.get().expect("they have just been made");
        flags.by_default.store(false, Ordering::SeqCst);
        Ok(Watch { flags })
    }
}

impl Flags {
    fn register() -> std::io::Result<Self> {
        let flags = Self {
            by_default: Arc::new(AtomicBool::new(false)),
            seen: Arc::new(AtomicBool::new(false)),
        };
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&flags.by_default))?;
            flag::register(signal, Arc::clone(&flags.seen))?;
        }
        Ok(flags)
    }
}

impl Watch<'_> {
    pub(crate) fn interrupted(&self) -> bool {
        self.flags.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.flags.by_default.store(true, Ordering::SeqCst);
    }
}
