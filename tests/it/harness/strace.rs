//! Kills at a chosen system call of one process, from outside and without a hook in the product (strace(1)).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::process::Signal;

use super::binaries::variable;
use super::call::{Call, Finished, Running};
use super::process::Process;
use super::sandbox::Sandbox;
use super::waiting::{SOON, eventually};

/// The n-th call (from 1) of one system call in one process.
#[derive(Debug, Clone)]
pub struct Moment {
    pub syscall: String,
    pub ordinal: usize,
}

/// Whether strace is here and may trace.
pub fn available(sandbox: &Sandbox) -> bool {
    let probe = "command -v strace >/dev/null && strace -o /dev/null true";
    sandbox.program(["sh", "-c", probe]).run().code == Some(0)
}

/// Where strace writes.
fn file(sandbox: &Sandbox) -> PathBuf {
    variable("LATTICE_TEST_TRACE").map_or_else(|| sandbox.base.join("trace"), PathBuf::from)
}

/// The same without what it wrote there last time.
fn new_file(sandbox: &Sandbox) -> PathBuf {
    let trace = file(sandbox);
    // Absent is what it should be.
    drop(fs::remove_file(&trace));
    trace
}

/// Lets a call run and lists the system calls of its first process, in order.
#[track_caller]
pub fn moments(sandbox: &Sandbox, call: Call) -> (Finished, Vec<Moment>) {
    let trace = file(sandbox);
    let finished =
        call.through(["strace", "-o", trace.to_str().expect("a sandbox's path is UTF-8")]).run();
    (finished, read(&trace))
}

/// The same, but only the calls that speak of a path that contains this text, by name or by descriptor.
#[track_caller]
pub fn moments_on(sandbox: &Sandbox, call: Call, part: &str) -> (Finished, Vec<Moment>) {
    moments_that(sandbox, call, |line| line.contains(part))
}

/// The same, but only the calls whose line of the trace is wanted.
#[track_caller]
pub fn moments_that(
    sandbox: &Sandbox,
    call: Call,
    wanted: impl Fn(&str) -> bool,
) -> (Finished, Vec<Moment>) {
    let (finished, text) = told(sandbox, call, &[]);
    (finished, read_lines(&text, wanted))
}

/// System calls that can fail for want of room, or of permission, because they change something.
const WRITES: &[&str] = &[
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "symlink",
    "symlinkat",
    "fallocate",
    "ftruncate",
    "fchmod",
    "fchown",
    "copy_file_range",
    "sendfile",
];

/// Whether a line of a trace tells of such a call, or of a file that is opened for it.
pub fn writes(line: &str) -> bool {
    let Some((name, words)) = line.split_once('(') else { return false };
    let opens = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| words.contains(flag));
    WRITES.contains(&name) || (name.starts_with("open") && opens)
}

/// Lets a call run and gives the trace of its first process, or with `-f` of all of them: with the paths behind
/// descriptors, and with long texts.
#[track_caller]
pub fn told(sandbox: &Sandbox, call: Call, options: &[&str]) -> (Finished, String) {
    let trace = file(sandbox);
    let path = trace.to_str().expect("a sandbox's path is UTF-8");
    let strace = ["strace", "-y", "-s", "1000", "-o", path];
    let finished = call.through(strace.iter().chain(options).copied()).run();
    (finished, fs::read_to_string(&trace).expect("strace has written"))
}

/// The call, with this error from one system call, which is not made.
pub fn refused_at(call: Call, error: &str, moment: &Moment) -> Call {
    let inject = format!("inject={}:error={error}:when={}", moment.syscall, moment.ordinal);
    let trace = format!("trace={}", moment.syscall);
    call.through(["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject])
}

/// The call, killed as it enters that system call. Its children are not traced.
pub fn killed_at(call: Call, moment: &Moment) -> Call {
    struck_at(call, "SIGKILL", moment)
}

/// The same with another signal.
pub fn struck_at(call: Call, signal: &str, moment: &Moment) -> Call {
    let inject = format!("inject={}:signal={signal}:when={}", moment.syscall, moment.ordinal);
    let trace = format!("trace={}", moment.syscall);
    call.through(["strace", "-o", "/dev/null", "-e", &trace, "-e", &inject])
}

/// Attaches to a running process, to list its system calls or to kill it at one of them. Its later children are
/// not traced. Returns once the process is traced.
pub fn attached(sandbox: &Sandbox, process: &Process, moment: Option<&Moment>) -> Running {
    let Some(Moment { syscall, ordinal }) = moment else {
        return attached_with(sandbox, process, &[]);
    };
    let traced = format!("trace={syscall}");
    let inject = format!("inject={syscall}:signal=SIGKILL:when={ordinal}");
    attached_with(sandbox, process, &["-e", &traced, "-e", &inject])
}

/// The same with other words for strace.
pub fn attached_with(sandbox: &Sandbox, process: &Process, options: &[&str]) -> Running {
    let trace = file(sandbox).display().to_string();
    let pid = process.pid.to_string();
    let argv = ["strace", "-o", &trace, "-p", &pid].into_iter().chain(options.iter().copied());
    let argv: Vec<String> = argv.map(str::to_owned).collect();
    let running = sandbox.program(argv).start();
    wait_attached(process);
    running
}

fn wait_attached(process: &Process) {
    eventually("strace has attached", SOON, || match process.status("TracerPid") {
        Some(pid) if pid != "0" => Ok(()),
        other => Err(format!("TracerPid: {other:?}")),
    });
}

/// The call, stopped behind that system call, until the process beside it gets SIGCONT.
pub fn stopped_at(sandbox: &Sandbox, call: Call, moment: &Moment) -> (Running, Process) {
    let trace = new_file(sandbox);
    let inject = format!("inject={}:signal=SIGSTOP:when={}", moment.syscall, moment.ordinal);
    let path = trace.to_str().expect("a sandbox's path is UTF-8");
    let running = call
        .through(["strace", "-o", path, "-e", &format!("trace={}", moment.syscall), "-e", &inject])
        .start();
    eventually("the call stops", SOON, || stop_line(&trace).map(drop));
    let process = running.process().child("lattice").expect("a stopped process is there");
    (running, process)
}

fn stop_line(trace: &Path) -> Result<String, String> {
    let text = fs::read_to_string(trace).map_err(|error| error.to_string())?;
    // A process that stood still when strace came is stopped without having got a signal.
    let mut lines = text.lines().skip_while(|line| !line.contains("--- SIGSTOP {"));
    let line = lines.find(|line| line.ends_with("--- stopped by SIGSTOP ---"));
    line.map(str::to_owned).ok_or(text)
}

/// Whom a stop is prepared for.
pub enum Who {
    Itself,
    /// The next process that it starts.
    Child,
}

/// Stops a process behind its next call of one of these on this path; without a path, behind its next call.
/// Returns once the process is traced.
pub fn stopping(
    sandbox: &Sandbox,
    process: &Process,
    who: Who,
    calls: &str,
    path: Option<&Path>,
) -> Stop {
    let trace = new_file(sandbox);
    let pid = process.pid.to_string();
    let mut argv = ["strace", "-q", "-p", &pid, "-e", "signal=STOP"].map(OsString::from).to_vec();
    argv.extend(["-o".into(), trace.clone().into()]);
    argv.extend(["-e".into(), format!("trace={calls}").into()]);
    argv.extend(["-e".into(), format!("inject={calls}:signal=SIGSTOP:when=1").into()]);
    if matches!(who, Who::Child) {
        argv.push("-f".into());
    }
    if let Some(path) = path {
        argv.extend(["-P".into(), path.into()]);
    }
    let running = sandbox.program(argv).start();
    wait_attached(process);
    Stop { trace, running, pid: process.pid }
}

/// A process that is on its way to a call behind which it will stop.
pub struct Stop {
    trace: PathBuf,
    running: Running,
    pid: i32,
}

impl Stop {
    /// The process, once it stands there: stopped, and traced no more.
    #[track_caller]
    pub fn reached(self) -> Process {
        let line = eventually("a process stops", SOON, || stop_line(&self.trace));
        // Only where children are followed is there a number in front.
        let pid = line.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(self.pid);
        let process = Process::open(pid).expect("a stopped process is there");
        // It lets go of what it traces, and that stays as it is.
        self.running.process().signal(Signal::TERM);
        self.running.finish();
        process
    }
}

/// What an attached process has done until its end.
pub fn traced(sandbox: &Sandbox, tracing: Running) -> Vec<Moment> {
    read_lines(&traced_text(sandbox, tracing), |_| true)
}

/// The trace itself.
pub fn traced_text(sandbox: &Sandbox, tracing: Running) -> String {
    tracing.finish();
    fs::read_to_string(file(sandbox)).expect("strace has written")
}

fn read(trace: &Path) -> Vec<Moment> {
    read_lines(&fs::read_to_string(trace).expect("strace has written"), |_| true)
}

/// All calls are counted; those whose line is wanted are in the answer.
pub fn read_lines(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Moment> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut moments = Vec::new();
    for line in text.lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            continue;
        }
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        if wanted(line) {
            moments.push(Moment { syscall: name.to_owned(), ordinal: *count });
        }
    }
    moments
}

/// The first call of this kind whose line has these parts.
#[track_caller]
pub fn first(trace: &str, syscall: &str, parts: &[&str]) -> Moment {
    let fits = |line: &str| parts.iter().all(|part| line.contains(part));
    let found = read_lines(trace, fits).into_iter().find(|moment| moment.syscall == syscall);
    found.unwrap_or_else(|| panic!("no {syscall} with {parts:?} in {trace}"))
}

/// Fails unless lines with all of these parts follow each other in this order.
#[track_caller]
pub fn assert_order(trace: &str, steps: &[&[&str]]) {
    let mut lines = trace.lines();
    for (index, parts) in steps.iter().enumerate() {
        let found = lines.any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?} does not follow {:?} in\n{trace}", &steps[..index]);
    }
}
