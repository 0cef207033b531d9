//! The loop of the tracer: every stop of every process, from the first exec to the last exit.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io::{self, Write};
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

use super::calls;
use super::images::Images;
use super::strike::{Fault, Strike, shorten};

/// `PTRACE_EVENT_EXEC` and `PTRACE_EVENT_STOP`.
const EXEC: i32 = 4;
const STOP: i32 = 128;

/// `STRIKE` in the place of one that images are to be taken.
const IMAGES: &str = "images:";

pub fn run(arguments: &[OsString]) -> io::Result<u8> {
    let [first, rest @ ..] = arguments else { return Err(usage()) };
    if first == "--stopped" {
        return stopped(rest);
    }
    let [strike, program @ ..] = rest else { return Err(usage()) };
    // Options are for another program, for which somebody takes this one: none of them names a file.
    if first.as_encoded_bytes().starts_with(b"-") {
        return Err(usage());
    }
    let strike = strike.to_str().ok_or_else(usage)?;
    let mut tracer = Tracer {
        report: fs::File::create(Path::new(first))?,
        go: Path::new(first).with_extension("go"),
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
    io::Error::other("striker REPORT STRIKE|images:IMAGE=DIRECTORY|- PROGRAM ARGUMENT...")
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
    role: String,
    /// Between the entry and the exit of a call, and which one.
    inside: Option<&'static str>,
    /// It dies at the exit of the call in which it is.
    doomed: bool,
    /// What the call in which it is returns instead.
    instead: Option<i32>,
}

struct Tracer {
    report: fs::File,
    go: PathBuf,
    strikes: Vec<Strike>,
    images: Option<Images>,
    first: Pid,
    code: u8,
    tracees: HashMap<Pid, Tracee>,
    counts: HashMap<(String, &'static str), usize>,
}

impl Tracer {
    fn trace(mut self) -> io::Result<u8> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => return Ok(self.code),
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
                Ok(ptrace::syscall(pid, None)?)
            }
            WaitStatus::PtraceEvent(pid, _, _) => {
                let child = Pid::from_raw(i32::try_from(ptrace::getevent(pid)?).unwrap_or(0));
                let role = format!("{}'", self.known(pid).role.trim_end_matches('\''));
                self.tracees.entry(child).or_insert(Tracee {
                    role,
                    inside: None,
                    doomed: false,
                    instead: None,
                });
                Ok(ptrace::syscall(pid, None)?)
            }
            WaitStatus::Stopped(pid, signal) => {
                self.known(pid);
                Ok(ptrace::syscall(pid, signal)?)
            }
            _ => Ok(()),
        }
    }

    /// A child may be heard of before its parent's fork is.
    fn known(&mut self, pid: Pid) -> &mut Tracee {
        self.tracees.entry(pid).or_insert_with(|| {
            let role = role(pid).map_or_else(|| "new".to_owned(), |role| format!("{role}'"));
            Tracee { role, inside: None, doomed: false, instead: None }
        })
    }

    fn ended(&mut self, pid: Pid, how: &str, code: i32) -> io::Result<()> {
        let role = self.tracees.remove(&pid).map(|tracee| tracee.role).unwrap_or_default();
        writeln!(self.report, "ended {role} {pid} {how}")?;
        if pid == self.first {
            self.code = u8::try_from(code).unwrap_or(u8::MAX);
        }
        Ok(())
    }

    /// What is none of the product's processes is let go, unless its syncs count.
    fn became(&mut self, pid: Pid) -> io::Result<()> {
        let role = role(pid);
        if role.is_none() && self.images.is_none() {
            self.tracees.remove(&pid);
            return Ok(ptrace::detach(pid, None)?);
        }
        let role = role.unwrap_or_else(|| "other".to_owned());
        writeln!(self.report, "began {role} {pid}")?;
        self.known(pid).role = role;
        Ok(ptrace::syscall(pid, None)?)
    }

    fn call(&mut self, pid: Pid) -> io::Result<()> {
        let tracee = self.known(pid);
        if let Some(call) = tracee.inside.take() {
            let role = tracee.role.clone();
            if tracee.doomed {
                self.struck(&role, pid)?;
                return Ok(kill(pid, Signal::SIGKILL)?);
            }
            if let Some(number) = tracee.instead.take() {
                let mut registers = ptrace::getregs(pid)?;
                registers.rax = i64::from(-number).cast_unsigned();
                ptrace::setregs(pid, registers)?;
            }
            self.image(&role, call)?;
            return Ok(ptrace::syscall(pid, None)?);
        }
        let mut registers = ptrace::getregs(pid)?;
        let call = calls::name(registers.orig_rax);
        tracee.inside = Some(call);
        let role = tracee.role.clone();
        self.image(&role, call)?;
        if call == "kill" {
            self.judge(pid, &role, registers.rdi)?;
        }
        let count = self.counts.entry((role.clone(), call)).or_default();
        *count += 1;
        let ordinal = *count;
        let hit = self.strikes.iter().find(|strike| strike.hits(&role, call, ordinal));
        match hit.map(|strike| &strike.fault) {
            None if self.strikes.is_empty() => {
                writeln!(self.report, "call {role} {call} {ordinal}")?
            }
            None => {}
            Some(Fault::Kill) => {
                self.struck(&role, pid)?;
                return Ok(kill(pid, Signal::SIGKILL)?);
            }
            Some(Fault::KillBehind) => self.known(pid).doomed = true,
            Some(Fault::Hold) => {
                self.struck(&role, pid)?;
                while !fs::exists(&self.go)? {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            Some(Fault::KillAll) => {
                self.struck(&role, pid)?;
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
                self.struck(&role, pid)?;
            }
            Some(Fault::Short) if shorten(call, &mut registers) => {
                ptrace::setregs(pid, registers)?;
                self.struck(&role, pid)?;
            }
            Some(Fault::Short) => {}
        }
        Ok(ptrace::syscall(pid, None)?)
    }

    fn struck(&mut self, role: &str, pid: Pid) -> io::Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        writeln!(self.report, "struck {role} {pid} {}", now.as_nanos())
    }

    fn image(&mut self, role: &str, call: &str) -> io::Result<()> {
        match &mut self.images {
            Some(images) if matches!(call, "fsync" | "fdatasync" | "syncfs") => {
                images.take(role, call)
            }
            _ => Ok(()),
        }
    }

    /// A number may be signalled only while it is taken by an unreaped child of the sender, or by the leader of the
    /// group that is one.
    fn judge(&mut self, pid: Pid, role: &str, argument: u64) -> io::Result<()> {
        let target = (argument as u32).cast_signed();
        let supervisor = ["warden", "shim", "finish"].contains(&role);
        if !supervisor || parent(target.abs()) == Some(pid.as_raw()) {
            return Ok(());
        }
        writeln!(
            self.report,
            "stray {role} sends a signal to {target}, which is no child of its own"
        )
    }
}

/// What of the product a process is, by its command line.
fn role(pid: Pid) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: BTreeSet<_> = ["lattice", "lattice-shim", "exe"].into();
    let mut parts = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = parts.next()?;
    let name = program.rsplit('/').next()?.to_owned();
    if !words.contains(name.as_str()) {
        return None;
    }
    if name == "lattice" { Some("cli".to_owned()) } else { Some(parts.next()?.into_owned()) }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
