//! What a supervisor must not inherit from its caller: descriptors, ignored signals, a mask, a terminal, core files.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fs_err::os::unix::fs::OpenOptionsExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, mode_t, umask};
use rustix::fs::OFlags;
use signal_hook::consts::{FORBIDDEN, SIGPIPE};

/// The three descriptors that a caller hands over as standard streams, moved out of their way.
pub struct HandedOver {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Signals wait until a `Watch` stands, or until `exec` hands an empty mask to the next program.
pub fn block_signals() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Undoes what the supervisor that started us has blocked, for the program that this process becomes.
pub fn unblock_signals() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Takes descriptors 0 to 2 as close-on-exec copies and leaves `/dev/null` in their places.
pub fn take_standard_streams() -> io::Result<HandedOver> {
    let taken = HandedOver {
        stdin: rustix::stdio::stdin().try_clone_to_owned()?,
        stdout: rustix::stdio::stdout().try_clone_to_owned()?,
        stderr: rustix::stdio::stderr().try_clone_to_owned()?,
    };
    let null = fs_err::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(taken)
}

/// Closes whatever the caller left open above standard error. Only for a process that has just begun:
/// nothing of our own may be open yet.
pub fn close_leaked_descriptors() {
    let numbers: Vec<i32> = match fs_err::read_dir("/dev/fd") {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        Err(_) => (3..1024).collect(),
    };
    for number in numbers.into_iter().filter(|&number| number > 2) {
        // The listing's own descriptor is among them and already closed: EBADF is expected.
        let _closed = nix::unistd::close(number);
    }
}

/// An ignored signal stays ignored over `exec`, a handled one becomes default again (execve(2)). So every
/// signal that is ignored gets a handler, and the next `exec` leaves all of them at default. SIGPIPE, which Rust ignores, it
/// lets in itself where it starts a process.
pub fn default_dispositions_at_exec() {
    let flag = Arc::new(AtomicBool::new(false));
    let ignored = ignored_signals().unwrap_or(u64::MAX);
    for signal in (1..=64).filter(|signal| ignored >> (signal - 1) & 1 == 1) {
        if signal != SIGPIPE && !FORBIDDEN.contains(&signal) {
            // EINVAL for the numbers that libc keeps for itself.
            let _registered = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
    }
}

/// A bit for each; `None` where no file tells (proc_pid_status(5), SigIgn).
fn ignored_signals() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// A write to a terminal that is another job's is let through, whatever `stty tostop` says, instead of stopping us.
pub fn write_from_background() -> io::Result<()> {
    Ok(SigSet::from_iter([Signal::SIGTTOU]).thread_block()?)
}

/// Our own files are private, and a crash of ours leaves no core file with somebody's secrets in it.
pub fn restrict_own_files() {
    umask(Mode::from_bits_truncate(0o077));
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        // Lowering one's own limit cannot be refused.
        let _limited = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
}

/// umask(2) can only be read by setting it, so it is set back at once: for a process with one thread.
pub fn current_umask() -> u32 {
    let current = umask(Mode::from_bits_truncate(0o077));
    umask(current);
    u32::try_from(u64::from(current.bits())).expect("a mode has at most 32 bits")
}

/// For what is the user's: the bits are those that `current_umask` gave.
pub fn set_umask(bits: u32) {
    umask(Mode::from_bits_truncate(bits as mode_t));
}

/// The short name in `ps`: after a re-exec it would be that of the link, `exe` (prctl(2), PR_SET_NAME).
#[cfg(target_os = "linux")]
pub fn take_name(name: &std::ffi::CStr) {
    // Only a bad address is refused.
    let _named = nix::sys::prctl::set_name(name);
}

#[cfg(not(target_os = "linux"))]
pub fn take_name(_name: &std::ffi::CStr) {}

/// Standard input alone, as `take_standard_streams` does for all three.
pub fn take_standard_input() -> io::Result<OwnedFd> {
    // Not `io::stdin()`, which has a buffer.
    let taken = rustix::stdio::stdin().try_clone_to_owned()?;
    read_from(Path::new("/dev/null"))?;
    Ok(taken)
}

/// Makes a file standard input. No link is followed and no FIFO waited for: somebody may have put one there.
pub fn read_from(path: &Path) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs_err::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // That open(2) did not wait is no affair of the reader's.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(rustix::stdio::dup2_stdin(file)?)
}

/// Orphans of our descendants become our children (prctl(2), PR_SET_CHILD_SUBREAPER, Linux 3.4).
#[cfg(target_os = "linux")]
pub fn adopt_orphans(adopt: bool) -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(adopt)?)
}

#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans(_adopt: bool) -> io::Result<()> {
    Ok(())
}

/// The kernel sends `signal` when the thread that started us ends (prctl(2), PR_SET_PDEATHSIG). It survives
/// `exec`, except of a set-user-ID program.
#[cfg(target_os = "linux")]
pub fn die_with_parent(signal: Signal) -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(signal)?)
}

#[cfg(not(target_os = "linux"))]
pub fn die_with_parent(_signal: Signal) -> io::Result<()> {
    Ok(())
}
