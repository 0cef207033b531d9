//! The gate: a process that becomes the engine, but not before the engine's identity is durable.
//!
//! Its pid, start time and parent-death signal survive the `exec`. It holds nothing but its three standard
//! streams and one end of a socket, which closes when the exec succeeds and carries the error when it does not.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::bounds::Bounds;
use lattice::process::{inherit, landlock, spawn};
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// The OOM killer takes the engine first, and not the process that would record it (proc_pid_oom_score_adj(5)).
const OOM_SCORE: i32 = 500;

/// Instead of an error's number: there is no sandbox, and the log says why.
pub(crate) const NO_SANDBOX: i32 = -1;

/// Instead of a number of places.
pub(crate) const UNCONFINED: &str = "-";

/// The byte that opens the gate.
pub(crate) const OPEN: u8 = b'+';

/// The byte by which a gate says that nothing but its socket can keep it from the program any more. Of what goes
/// wrong before it, the end of the socket tells; of what comes after it, a number.
pub(crate) const READY: u8 = b'=';

/// The same for a supervisor that has a terminal and whatever else its caller left it: first the child parts with
/// that.
#[inline(never)]
pub(crate) fn run_apart(words: &[OsString]) -> Result<()> {
    inherit::close_leaked_descriptors();
    inherit::default_dispositions_at_exec();
    nix::unistd::setsid().map_err(|error| Failure::io("setsid", error))?;
    run(words)
}

/// `gate PARENT UMASK BOUNDS INPUT COUNT WRITABLE… PROGRAM ARGUMENT…`: stdin is the gate's socket, stdout and stderr
/// are the engine's already; BOUNDS are its limits and its niceness, INPUT is the file that it reads, and WRITABLE are
/// COUNT places outside of which it cannot write, or with `-` for COUNT it is not confined.
#[inline(never)]
pub(crate) fn run(words: &[OsString]) -> Result<()> {
    let [parent, mask, bounds, input, count, words @ ..] = words else { return Err(misuse()) };
    let bounds: Bounds = bounds.to_str().and_then(|word| word.parse().ok()).ok_or_else(misuse)?;
    let (writable, words) = places(count, words)?;
    let [program, arguments @ ..] = words else { return Err(misuse()) };
    let parent = number(parent)?;
    die_with(parent, Signal::SIGKILL)?;
    inherit::unblock_signals()?;
    offer_to_oom_killer();
    set_umask(mask)?;
    let mut socket = take_socket()?;
    socket.write_all(&[READY])?;
    let error = match opened(&mut socket) {
        Ok(true) => {
            if let Some(Err(error)) = writable.map(landlock::write_only_below) {
                socket.write_all(&NO_SANDBOX.to_le_bytes())?;
                return Err(Failure::new(Code::SpawnError, format!("no sandbox: {error}")));
            }
            // Last: what the gate itself still has to do is not held to a limit of open files.
            match inherit::read_from(Path::new(input)).and_then(|()| bounds.apply()) {
                Ok(()) => spawn::inheriting(program).args(arguments).exec(),
                Err(error) => error,
            }
        }
        Ok(false) => return Err(Failure::internal("the gate was closed")),
        Err(error) => error,
    };
    let number = error.raw_os_error().unwrap_or_default();
    socket.write_all(&number.to_le_bytes())?;
    // Never status 0: nobody may take the gate's exit for the engine's.
    Err(Failure::new(
        Code::SpawnError,
        format!("failed to execute `{}`: {error}", program.display()),
    ))
}

/// The places where it may write, and the words behind them.
fn places<'a>(
    count: &OsString,
    words: &'a [OsString],
) -> Result<(Option<&'a [OsString]>, &'a [OsString])> {
    if count == UNCONFINED {
        return Ok((None, words));
    }
    let count = usize::try_from(number(count)?).map_err(|_| misuse())?;
    let (places, words) = words.split_at_checked(count).ok_or_else(misuse)?;
    Ok((Some(places), words))
}

/// `helper PARENT UMASK PROGRAM ARGUMENT…`: no gate, and TERM when the parent dies, on which git removes its lock
/// files. What git makes in the repository is the user's, so it has the user's modes.
#[inline(never)]
pub(crate) fn run_helper(words: &[OsString]) -> Result<()> {
    let [parent, mask, program, arguments @ ..] = words else { return Err(misuse()) };
    die_with(number(parent)?, Signal::SIGTERM)?;
    inherit::unblock_signals()?;
    set_umask(mask)?;
    let error = spawn::inheriting(program).args(arguments).exec();
    Err(Failure::new(
        Code::SpawnError,
        format!("failed to execute `{}`: {error}", program.display()),
    ))
}

/// The signal is set first and the parent checked second: in the other order its death could fall between.
fn die_with(parent: i32, signal: Signal) -> Result<()> {
    inherit::die_with_parent(signal)?;
    if getppid().as_raw() == parent {
        return Ok(());
    }
    Err(Failure::internal("the supervisor died before its child was ready"))
}

fn offer_to_oom_killer() {
    let path = "/proc/self/oom_score_adj";
    let current =
        fs_err::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if current.is_some_and(|current| current < OOM_SCORE) {
        // Raising one's own score needs no privilege; where it fails the run is as safe as any other process.
        drop(fs_err::write(path, OOM_SCORE.to_string()));
    }
}

/// The socket moves to a descriptor that closes on exec, and the engine reads end of file from /dev/null.
fn take_socket() -> Result<UnixStream> {
    Ok(UnixStream::from(inherit::take_standard_input()?))
}

/// End of file instead of the byte: the supervisor has died, or has decided against it.
fn opened(socket: &mut UnixStream) -> io::Result<bool> {
    let mut byte = [0];
    match socket.read_exact(&mut byte) {
        Ok(()) => Ok(byte[0] == OPEN),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn set_umask(word: &OsString) -> Result<()> {
    inherit::set_umask(u32::try_from(number(word)?).map_err(|_| misuse())?);
    Ok(())
}

fn number(word: &OsString) -> Result<i32> {
    word.to_str().and_then(|word| word.parse().ok()).ok_or_else(misuse)
}

fn misuse() -> Failure {
    Failure::new(Code::Usage, "the gate is started by the supervisor only")
}
