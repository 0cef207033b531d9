//! The helper that runs beside everything else, for an answer that nobody waits for before the end. It is no process of
//! the engine: no sweep ends or counts it, and what it has used is left out of what the engine has.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lattice::process::helper::{HelperOutput, scratch_file};
use lattice::process::reap::{self, Child, Usage};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::helpers::contents;
use crate::loops::{Loop, SHORT_GRACE};
use crate::messages::Message;

/// Whatever the run itself does meanwhile comes first (nice(1)).
const NICE: [&str; 3] = ["nice", "-n", "19"];

pub(crate) struct Beside {
    pid: i32,
    stdout: File,
    deadline: Instant,
}

impl Loop {
    /// One at a time. Where the supervisor is killed it ends like any helper, and the other supervisor knows it.
    pub(crate) fn begin_beside(&mut self, command: &Command, limit: Duration) -> io::Result<()> {
        let stdout = scratch_file()?;
        let mut command = self.through_helper_role(&NICE.map(Into::into), command);
        let child = command.stdout(Stdio::from(stdout.try_clone()?)).spawn()?;
        let pid = child.id().cast_signed();
        self.tell(&Message::Beside { pid: Some(pid) });
        self.beside = Some(Beside { pid, stdout, deadline: Instant::now() + limit });
        Ok(())
    }

    pub(crate) fn beside(&self) -> Option<i32> {
        self.beside.as_ref().map(|beside| beside.pid)
    }

    /// What it has said, and the processor seconds that it took, once it has ended. One that is late is told to end.
    pub(crate) fn collect_beside(&mut self) -> Option<(HelperOutput, f64)> {
        let beside = self.beside.as_mut()?;
        let pid = beside.pid;
        let exit = match reap::peek(pid) {
            Child::Exited(exit) => exit,
            Child::Running => {
                let late = Instant::now().checked_duration_since(beside.deadline)?;
                let signal = if late < SHORT_GRACE { Signal::SIGTERM } else { Signal::SIGKILL };
                let _gone = killpg(Pid::from_raw(pid), signal);
                return None;
            }
            Child::Unknown => {
                self.beside = None;
                return None;
            }
        };
        let stdout = contents(&mut beside.stdout);
        self.beside = None;
        self.tell(&Message::Beside { pid: None });
        // Its zombie keeps the group's number ours: what it may have left there is no process of the engine either.
        let _nobody = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        let before = reap::children_usage();
        reap::collect(pid);
        let used = before.and_then(|before| Ok(self.leave_out(before, reap::children_usage()?)));
        let (code, signal) = (exit.code, exit.signal);
        let output = HelperOutput { code, signal, stdout: stdout.ok()?, ..HelperOutput::default() };
        Some((output, used.unwrap_or_default()))
    }

    /// For its answer until its limit, if `is_cut_short` does not say otherwise. Whatever cannot be ended is a process of
    /// the run from here on.
    pub(crate) fn await_beside(
        &mut self,
        is_cut_short: &dyn Fn(&Self) -> bool,
    ) -> io::Result<Option<(HelperOutput, f64)>> {
        let Some(Beside { pid, deadline, .. }) = self.beside else { return Ok(None) };
        while reap::peek(pid) == Child::Running {
            if Instant::now() >= deadline || is_cut_short(self) {
                self.end_helper(pid)?;
                break;
            }
            self.turn(Some(deadline))?;
        }
        let collected = self.collect_beside();
        self.beside = None;
        Ok(collected)
    }

    /// What the children that were reaped had used, without that helper.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let all = reap::children_usage()?;
        // The kernel keeps but one maximum: where it is the helper's, nothing is known of the others.
        let is_others = all.max_rss_kb > self.apart.max_rss_kb;
        Ok(Usage {
            cpu_seconds: all.cpu_seconds - self.apart.cpu_seconds,
            max_rss_kb: if is_others { all.max_rss_kb } else { 0 },
        })
    }

    fn leave_out(&mut self, before: Usage, after: Usage) -> f64 {
        let used = after.cpu_seconds - before.cpu_seconds;
        self.apart.cpu_seconds += used;
        if after.max_rss_kb > before.max_rss_kb {
            self.apart.max_rss_kb = after.max_rss_kb;
        }
        used
    }
}
