//! Runs a program and everything that it starts under ptrace(2), and strikes one process at one system call: by
//! SIGKILL, by an error in the call's place, or by a short write. Without a strike it lists the calls.
//!
//!     striker [--judge] REPORT STRIKE,...|- PROGRAM ARGUMENT...
//!
//! Beside strace(1) it knows which of the product's processes it looks at, and ends with the last of them. Only the
//! role that is struck stops at its calls, and only until then. With `--judge` everybody does, always, and it checks
//! that no supervisor sends a signal to a number that is not its own unreaped child's.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod calls;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod images;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod roles;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod strike;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match trace::run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("striker: {error}");
            ExitCode::from(97)
        }
    }
}

/// Registers are another matter on every processor; who calls this skips what needs it.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> ExitCode {
    eprintln!("striker: only for Linux on x86_64");
    ExitCode::from(96)
}
