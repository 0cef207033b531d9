//! The `lattice` command: reads the process's surroundings once, runs one command and turns its end into an
//! exit status. Nobody else exits.

mod cli;
mod render;

use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};

use cli::caller::Caller;

const BUG: u8 = 70;

/// musl's own asks the kernel for a little more all the time, and gives it back.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    if let Err(error) = accept_sigchld() {
        return cli::failure::without_session(&error.into());
    }
    panic::set_hook(Box::new(cli::failure::bug));
    panic::catch_unwind(|| cli::run(caller())).unwrap_or(ExitCode::from(BUG))
}

/// A parent may have left SIGCHLD ignored or blocked; then the kernel reaps children by itself and even a plain
/// `Command::status` fails. A handler of our own ends the first, and is back at its default after an `exec`.
fn accept_sigchld() -> std::io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGCHLD, Arc::new(AtomicBool::new(false)))?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_unblock()?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn caller() -> Caller {
    Caller::new(std::env::vars_os().collect(), std::env::current_dir())
}
