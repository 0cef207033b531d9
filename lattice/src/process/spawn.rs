//! The one place where a process is described: every `Command` of Lattice begins here.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A command with nothing on its standard streams; the caller opens what it needs.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Another role of the program that runs now, under the name that `ps` should show.
pub fn own_role(role: impl AsRef<OsStr>) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = command(own_program());
    command.arg0("lattice-shim").arg(role);
    command
}

/// This process becomes another role of its program: with its number, its children, its signal mask, what is pending,
/// and the descriptors that do not close on exec (execve(2)). Comes back only where that fails.
pub fn become_own_role(words: &[&OsStr]) -> io::Error {
    let program = own_program();
    let all = [OsStr::new("lattice-shim")].into_iter().chain(words.iter().copied());
    let all: Result<Vec<CString>, _> = all.map(|word| CString::new(word.as_bytes())).collect();
    match (CString::new(program.as_os_str().as_bytes()), all) {
        (Ok(program), Ok(words)) => match nix::unistd::execv(&program, &words) {
            Err(error) => error.into(),
            Ok(never) => match never {},
        },
        (Err(error), _) | (_, Err(error)) => error.into(),
    }
}

/// Even when an upgrade has replaced or removed its file.
pub fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        PathBuf::from("/proc/self/exe")
    } else {
        std::env::current_exe().unwrap_or_else(|_| PathBuf::from("lattice-shim"))
    }
}

/// A command that keeps the standard streams of this process: for one that becomes it by `exec`.
pub fn inheriting(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    command
}
