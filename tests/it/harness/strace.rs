//! Kills at a chosen system call of one process, from outside and without a hook in the product (strace(1)).

use std::collections::HashMap;
use std::path::Path;

use fs_err as fs;

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

/// Lets a call run and lists the system calls of its first process, in order.
#[track_caller]
pub fn moments(sandbox: &Sandbox, call: Call) -> (Finished, Vec<Moment>) {
    let trace = sandbox.base.join("trace");
    let finished =
        call.through(["strace", "-o", trace.to_str().expect("a sandbox's path is UTF-8")]).run();
    (finished, read(&trace))
}

/// The same, but only the calls that speak of a path that contains this text, by name or by descriptor.
#[track_caller]
pub fn moments_on(sandbox: &Sandbox, call: Call, part: &str) -> (Finished, Vec<Moment>) {
    let trace = sandbox.base.join("trace");
    let path = trace.to_str().expect("a sandbox's path is UTF-8");
    let finished = call.through(["strace", "-y", "-s", "1000", "-o", path]).run();
    (finished, read_lines(&trace, |line| line.contains(part)))
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
    let trace = sandbox.base.join("trace").display().to_string();
    let pid = process.pid.to_string();
    let mut argv = vec!["strace".to_owned(), "-o".to_owned(), trace, "-p".to_owned(), pid];
    if let Some(Moment { syscall, ordinal }) = moment {
        argv.extend(["-e".to_owned(), format!("trace={syscall}"), "-e".to_owned()]);
        argv.push(format!("inject={syscall}:signal=SIGKILL:when={ordinal}"));
    }
    let running = sandbox.program(argv).start();
    eventually("strace has attached", SOON, || {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid))
            .map_err(|error| error.to_string())?;
        let tracer = status.lines().find(|line| line.starts_with("TracerPid:")).unwrap_or_default();
        if tracer.ends_with("\t0") { Err(tracer.to_owned()) } else { Ok(()) }
    });
    running
}

/// What an attached process has done until its end.
pub fn traced(sandbox: &Sandbox, tracing: Running) -> Vec<Moment> {
    tracing.finish();
    read(&sandbox.base.join("trace"))
}

fn read(trace: &Path) -> Vec<Moment> {
    read_lines(trace, |_| true)
}

/// All calls are counted; those whose line is wanted are in the answer.
fn read_lines(trace: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Moment> {
    let text = fs::read_to_string(trace).expect("strace has written");
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
