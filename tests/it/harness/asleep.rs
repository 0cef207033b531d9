//! A call that falls asleep in the middle of what it does, as behind the lid of a laptop or on Ctrl-Z: strace(1) sends
//! it the signal at a chosen system call, which is still made.

use fs_err as fs;
use rustix::process::Signal;

use super::call::{Call, Finished, Running};
use super::process::Process;
use super::sandbox::Sandbox;
use super::strace::Moment;
use super::waiting::{SOON, eventually};

pub struct Asleep {
    tracing: Running,
    sleeper: Process,
}

impl Asleep {
    /// `signal`: SIGSTOP, or SIGTSTP for one that may have blocked it for a while. Returns when the call has stopped.
    #[track_caller]
    pub fn at(sandbox: &Sandbox, call: Call, signal: &str, moment: &Moment) -> Self {
        let trace = sandbox.base.join("asleep");
        let path = trace.to_str().expect("a sandbox's path is UTF-8");
        let traced = format!("trace={}", moment.syscall);
        let inject = format!("inject={}:signal={signal}:when={}", moment.syscall, moment.ordinal);
        let tracing = call.through(["strace", "-o", path, "-e", &traced, "-e", &inject]).start();
        eventually("the call sleeps", SOON, || {
            let text = fs::read_to_string(&trace).map_err(|error| error.to_string())?;
            if text.contains("--- stopped by") { Ok(()) } else { Err(text) }
        });
        let strace = tracing.process().pid;
        let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"))
            .expect("strace lives as long as what it traces");
        let pid = children.split_whitespace().next().expect("strace is the parent of the call");
        let sleeper = Process::open(pid.parse().expect("a pid")).expect("who sleeps is alive");
        Self { tracing, sleeper }
    }

    pub fn wakes(self) -> Finished {
        self.sleeper.signal(Signal::CONT);
        self.tracing.finish()
    }
}
