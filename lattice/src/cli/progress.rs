//! What a person sees while a command waits: one line on the terminal's stderr, from the second second on.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow};

use super::out::Form;
use super::session::Session;
use super::terminal::stderr_size;
use crate::render::clock::short;
use crate::render::table::cut;

const STEP: Duration = Duration::from_secs(1);

/// Shown for as long as this lives. Where nobody watches it does nothing at all.
pub(crate) struct Progress {
    shown: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    pub(crate) fn new(session: &Session, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::with(session, move |waited| format!("{what} ({})", short(waited)))
    }

    /// For a write, which waits only where somebody else is writing.
    pub(crate) fn for_lock(session: &Session, what: impl Display) -> Self {
        Self::new(session, format!("waiting to write {what}: another process may hold its lock"))
    }

    /// `text` is asked for the line at every step, with the time that has passed.
    pub(crate) fn with(
        session: &Session,
        text: impl Fn(Duration) -> String + Send + 'static,
    ) -> Self {
        let wanted = session.caller.watches_stderr() && session.out.form() != Form::Quiet;
        Self { shown: if wanted { start(text) } else { None } }
    }
}

/// The thread takes no signal of the process: they are the main thread's, which may have blocked some.
fn start(
    text: impl Fn(Duration) -> String + Send + 'static,
) -> Option<(Sender<()>, JoinHandle<()>)> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok()?;
    let (stop, stopped) = mpsc::channel();
    let begin = Instant::now();
    let thread = thread::Builder::new().spawn(move || {
        let mut drawn = false;
        while stopped.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
            draw(&text(begin.elapsed()));
            drawn = true;
        }
        if drawn {
            draw("");
        }
    });
    before.thread_set_mask().expect("a mask that was in force can be set again");
    Some((stop, thread.ok()?))
}

/// Over the line that is there (ECMA-48: carriage return, EL).
fn draw(text: &str) {
    let columns = stderr_size().map_or(79, |size| size.columns.saturating_sub(1));
    let mut stderr = io::stderr().lock();
    if write!(stderr, "\r\x1b[K{}", cut(text, columns)).and_then(|()| stderr.flush()).is_err() {
        // Nobody watches any more.
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.shown.take() {
            drop(stop);
            // Waited for, so that the line is gone before the answer comes.
            if thread.join().is_err() {
                // A panic in it has been told already.
            }
        }
    }
}
