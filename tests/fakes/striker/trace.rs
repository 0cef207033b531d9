//! The loop of the tracer: every stop of every process, from the first exec to the last exit.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::images::Images;
use super::strike::{Fault, Strike, shorten};
use super::{calls, roles};

/// `PTRACE_EVENT_EXEC` and `PTRACE_EVENT_STOP`.
const EXEC: i32 = 4;
const STOP: i32 = 128;

/// `STRIKE` in the place of one that images are to be taken.
const IMAGES: &str = "images:";

pub fn run(arguments: &[OsString]) -> io::Result<u8> {
    let (judges, arguments) = match arguments {
        [first, rest @ ..] if first == "--stopped" => return stopped(rest),
        [first, rest @ ..] if first == "--judge" => (true, rest),
        all => (false, all),
    };
    let [first, strike, program @ ..] = arguments else { return Err(usage()) };
    // Options are for another program, for which somebody takes this one: none of them names a file.
    if first.as_encoded_bytes().starts_with(b"-") {
        return Err(usage());
    }
    let strike = strike.to_str().ok_or_else(usage)?;
    let mut tracer = Tracer {
        report: BufWriter::new(fs::File::create(Path::new(first))?),
        go: Path::new(first).with_extension("go"),
        judges,
        strikes: Vec::new(),
        images: None,
        first: start(program)?,
        code: 0,
        tracees: HashMap::new(),
        counts: HashMap::new(),
    };
    match (strike, strike.strip_prefix(IMAGES)) {
        ("-", _) => {}
        (_, Some(images)) => tracer.images = Some(Images::parse(images)?),
        (strikes, None) => {
            tracer.strikes = strikes.split(',').map(Strike::parse).collect::<io::Result<_>>()?;
        }
    }
    tracer.trace()
}

fn usage() -> io::Error {
    io::Error::other("striker [--judge] REPORT STRIKE|images:IMAGE=DIRECTORY|- PROGRAM ARGUMENT...")
}

/// Waits for its tracer, then becomes the program.
fn stopped(words: &[OsString]) -> io::Result<u8> {
    raise(Signal::SIGSTOP)?;
    let [program, arguments @ ..] = words else { return Err(usage()) };
    Err(command(program).args(arguments).exec())
}

#[expect(clippy::disallowed_methods, reason = "the tracer stands outside of the product")]
fn command(program: &OsString) -> Command {
    Command::new(program)
}

fn start(program: &[OsString]) -> io::Result<Pid> {
    let own = std::env::current_exe()?;
    let child = command(&own.into_os_string()).arg("--stopped").args(program).spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC;
    ptrace::seize(pid, options)?;
    kill(pid, Signal::SIGCONT)?;
    Ok(pid)
}

/// One process that is traced.
struct Tracee {
    role: &'static str,
    /// Between the entry and the exit of a call: which one, and the how manyth of its role.
    inside: Option<(&'static str, usize)>,
    /// It dies at the exit of the call in which it is.
    doomed: bool,
    /// What the call in which it is returns instead.
    instead: Option<i32>,
}

impl Tracee {
    fn new(role: &'static str) -> Self {
        Self { role, inside: None, doomed: false, instead: None }
    }
}

struct Tracer {
    report: BufWriter<fs::File>,
    go: PathBuf,
    /// Every kill(2) is looked at, and therefore every call.
    judges: bool,
    strikes: Vec<Strike>,
    images: Option<Images>,
    first: Pid,
    code: u8,
    tracees: HashMap<Pid, Tracee>,
    counts: HashMap<(&'static str, &'static str), usize>,
}

impl Tracer {
    fn trace(mut self) -> io::Result<u8> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => {
                    self.report.flush()?;
                    return Ok(self.code);
                }
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            // ESRCH: it was killed in its stop, and its death is the next that is heard of it.
            match self.heard(status) {
                Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
                heard => heard?,
            }
        }
    }

    fn heard(&mut self, status: WaitStatus) -> io::Result<()> {
        match status {
            WaitStatus::Exited(pid, code) => self.ended(pid, &format!("exit {code}"), code),
            WaitStatus::Signaled(pid, signal, _) => {
                self.ended(pid, &format!("signal {signal}"), 128 + signal as i32)
            }
            WaitStatus::PtraceSyscall(pid) => self.call(pid),
            WaitStatus::PtraceEvent(pid, _, EXEC) => self.became(pid),
            WaitStatus::PtraceEvent(pid, _, STOP) => {
                self.known(pid);
                self.resume(pid, None)
            }
            WaitStatus::PtraceEvent(pid, _, _) => {
                let child = Pid::from_raw(i32::try_from(ptrace::getevent(pid)?).unwrap_or(0));
                let role = roles::child(self.known(pid).role);
                self.tracees.entry(child).or_insert_with(|| Tracee::new(role));
                self.resume(pid, None)
            }
            WaitStatus::Stopped(pid, signal) => {
                self.known(pid);
                self.resume(pid, signal)
            }
            _ => Ok(()),
        }
    }

    /// To its next system call, if one of them is of interest; that costs more than the run itself.
    fn resume(&mut self, pid: Pid, signal: impl Into<Option<Signal>>) -> io::Result<()> {
        let tracee = self.known(pid);
        let (inside, role) = (tracee.inside.is_some(), tracee.role);
        let lists = self.strikes.is_empty();
        let is_struck = |strike: &Strike| {
            let count = self.counts.get(&(role, strike.call)).copied().unwrap_or(0);
            strike.role == role && count < strike.last()
        };
        if inside || lists || self.judges || self.strikes.iter().any(is_struck) {
            Ok(ptrace::syscall(pid, signal)?)
        } else {
            Ok(ptrace::cont(pid, signal)?)
        }
    }

    /// A child may be heard of before its parent's fork is.
    fn known(&mut self, pid: Pid) -> &mut Tracee {
        let role = || roles::of(pid).map_or("new", roles::child);
        self.tracees.entry(pid).or_insert_with(|| Tracee::new(role()))
    }

    fn ended(&mut self, pid: Pid, how: &str, code: i32) -> io::Result<()> {
        let role = self.tracees.remove(&pid).map_or("", |tracee| tracee.role);
        writeln!(self.report, "ended {role} {pid} {how}")?;
        if pid == self.first {
            self.code = u8::try_from(code).unwrap_or(u8::MAX);
        }
        Ok(())
    }

    /// What is none of the product's processes is let go, unless its syncs count.
    fn became(&mut self, pid: Pid) -> io::Result<()> {
        let role = roles::of(pid);
        if role.is_none() && self.images.is_none() {
            self.tracees.remove(&pid);
            return Ok(ptrace::detach(pid, None)?);
        }
        let role = role.unwrap_or("other");
        writeln!(self.report, "began {role} {pid}")?;
        let tracee = self.known(pid);
        tracee.role = role;
        // The exec itself is still to return, also to one who was not stopped as it began.
        tracee.inside = Some(("execve", 0));
        self.resume(pid, None)
    }

    fn call(&mut self, pid: Pid) -> io::Result<()> {
        let tracee = self.known(pid);
        if let Some((call, ordinal)) = tracee.inside.take() {
            let role = tracee.role;
            if tracee.doomed {
                self.struck(role, pid)?;
                return Ok(kill(pid, Signal::SIGKILL)?);
            }
            if let Some(number) = tracee.instead.take() {
                let mut registers = ptrace::getregs(pid)?;
                registers.rax = i64::from(-number).cast_unsigned();
                ptrace::setregs(pid, registers)?;
            }
            self.image(role, call, ordinal, "after")?;
            return self.resume(pid, None);
        }
        let mut registers = ptrace::getregs(pid)?;
        let call = calls::name(&registers);
        let role = tracee.role;
        let count = self.counts.entry((role, call)).or_default();
        *count += 1;
        let ordinal = *count;
        self.known(pid).inside = Some((call, ordinal));
        self.image(role, call, ordinal, "before")?;
        if call == "kill" {
            self.judge(pid, role, registers.rdi)?;
        }
        let hit = self.strikes.iter().find(|strike| strike.hits(role, call, ordinal));
        match hit.map(|strike| &strike.fault) {
            None if self.strikes.is_empty() => {
                let length = calls::length(pid, call, &mut registers).map_or(0, |length| *length);
                let would_block = calls::would_block(pid, call, &registers);
                writeln!(self.report, "call {role} {call} {ordinal} {length} {would_block}")?;
            }
            None => {}
            Some(Fault::Kill) => {
                self.struck(role, pid)?;
                return Ok(kill(pid, Signal::SIGKILL)?);
            }
            Some(Fault::KillBehind) => self.known(pid).doomed = true,
            Some(Fault::Hold) => {
                self.struck(role, pid)?;
                while !fs::exists(&self.go)? {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            Some(Fault::KillAll) => {
                self.struck(role, pid)?;
                for other in self.tracees.keys() {
                    // ESRCH: it has just died by itself.
                    let _dead = kill(*other, Signal::SIGKILL);
                }
                return Ok(());
            }
            Some(&Fault::Error { number, .. }) => {
                // No call has this number, so none is made.
                registers.orig_rax = u64::MAX;
                ptrace::setregs(pid, registers)?;
                self.known(pid).instead = Some(number);
                self.struck(role, pid)?;
            }
            Some(Fault::Short) if shorten(pid, call, &mut registers) => {
                ptrace::setregs(pid, registers)?;
                self.struck(role, pid)?;
            }
            Some(Fault::Short) => {}
        }
        self.resume(pid, None)
    }

    fn struck(&mut self, role: &str, pid: Pid) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        writeln!(self.report, "struck {role} {pid} {}", now.as_nanos())?;
        // Somebody may wait for that line.
        self.report.flush()
    }

    fn image(&mut self, role: &str, call: &str, ordinal: usize, when: &str) -> io::Result<()> {
        match &mut self.images {
            Some(images) if matches!(call, "fsync" | "fdatasync" | "syncfs") => {
                images.take(&format!("{role}:{call}:{ordinal}:{when}"))
            }
            _ => Ok(()),
        }
    }

    /// A number may be signalled only while it is taken by an unreaped child of the sender, or by the leader of the
    /// group that is one. A sender that was killed in its stop sends nothing: its children are somebody else's by then,
    /// and its registers cannot be read any more.
    fn judge(&mut self, pid: Pid, role: &str, argument: u64) -> io::Result<()> {
        let target = (argument as u32).cast_signed();
        let supervisor = ["warden", "shim", "warden-waits", "shim-waits", "finish"].contains(&role);
        if !supervisor || roles::parent(target.abs()) == Some(pid.as_raw()) {
            return Ok(());
        }
        ptrace::getregs(pid)?;
        writeln!(
            self.report,
            "stray {role} sends a signal to {target}, which is no child of its own"
        )
    }
}
