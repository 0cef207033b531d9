//! `lattice-shim`, the supervisor of one run. It prints nothing: its words are the record. Only `debug`, which a
//! person starts, speaks.
//!
//! Every role is an exec of this same program, so no process of ours ever forks without an exec:
//! `stage0`, or a `warden` without one, leaves behind what it inherited; `stage0` starts `warden` or `finish`; `warden`
//! starts `shim`; `shim` starts the engine through `gate`, and both start git through it, and hooks through `hook`.

mod beside;
mod debug;
mod dirty;
mod engine_env;
mod exits;
mod finish;
mod gate;
mod helpers;
mod hold;
mod hook;
mod launch;
mod limits;
mod loops;
mod messages;
mod renew;
mod roles;
mod seat;
mod shim;
mod slot;
mod stage0;
mod supervise;
mod waiting;
mod warden;
mod worktree;

use std::process::ExitCode;

/// musl's own asks the kernel for a little more all the time, and gives it back.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    // Before anything else: under an inherited ignored SIGCHLD no exit status would reach us (signal(7)).
    let sigchld =
        signal_hook::flag::register(signal_hook::consts::SIGCHLD, std::sync::Arc::default());
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match sigchld.map_err(Into::into).and_then(|_| roles::run(&arguments)) {
        Ok(code) => code,
        Err(failure) => exits::report(&failure),
    }
}
