//! Helpers of a supervisor, such as git and hooks: run inside its loop, so that it goes on hearing everything else.

use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lattice::model::outcome::Exit;
use lattice::process::helper::{HelperOutput, Helpers, scratch_file};
use lattice::process::reap::{self, Child as State};
use lattice::process::{spawn, tree};
use lattice::runs::context::COOKIE;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::hook;
use crate::loops::{Loop, SHORT_GRACE};

/// More than git has to say; what is longer is cut.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;

impl Helpers for Loop {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let (mut stdout, mut stderr) = (scratch_file()?, scratch_file()?);
        let mut command = self.through_helper_role(&[], &command);
        command.stdout(Stdio::from(stdout.try_clone()?)).stderr(Stdio::from(stderr.try_clone()?));
        let output = self.run_to_end(command, stdin, limit)?;
        Ok(HelperOutput {
            stdout: contents(&mut stdout)?,
            stderr: contents(&mut stderr)?,
            ..output
        })
    }

    /// Its limit is its keeper's affair, who needs some time to end what it has started.
    fn run_unheard(
        &mut self,
        command: Command,
        stdin: Vec<u8>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let keeper = hook::words(&self.run, limit);
        let command = self.through_helper_role(&keeper, &command);
        self.run_to_end(command, Some(stdin), limit + 2 * SHORT_GRACE)
    }
}

impl Loop {
    fn run_to_end(
        &mut self,
        mut command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        if let Some(bytes) = stdin {
            let mut file = scratch_file()?;
            file.write_all(&bytes)?;
            file.seek(SeekFrom::Start(0))?;
            command.stdin(Stdio::from(file));
        }
        let child = command.spawn()?;
        let in_time = self.wait_for_helper(&child, limit)?;
        if !in_time {
            self.end_helper(child.id().cast_signed())?;
        }
        let exit = match reap::collect(child.id().cast_signed()) {
            State::Exited(exit) => exit,
            State::Running | State::Unknown => Exit::default(),
        };
        let (code, signal) = (exit.code, exit.signal);
        Ok(HelperOutput { code, signal, timed_out: !in_time, ..HelperOutput::default() })
    }

    /// Whether the helper came to its end within its limit and without being interrupted.
    fn wait_for_helper(&mut self, child: &Child, limit: Duration) -> io::Result<bool> {
        let pid = child.id().cast_signed();
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && !self.is_interrupted() {
            if self.wait_at_most(pid, Duration::ZERO)? {
                return Ok(true);
            }
            self.turn(Some(deadline))?;
        }
        self.wait_at_most(pid, Duration::ZERO)
    }

    fn wait_at_most(&mut self, pid: i32, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        while reap::peek(pid) == State::Running {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.turn(Some(deadline))?;
        }
        Ok(true)
    }

    /// The same command as a child that gets TERM when we die, in a group of its own, marked as this run's unless
    /// it removes the mark. `keeper` is what stands between the two, if something does.
    pub(crate) fn through_helper_role(&self, keeper: &[OsString], command: &Command) -> Command {
        let mut helper = spawn::own_role("helper");
        helper
            .args([Pid::this().to_string(), self.umask.to_string()])
            .args(keeper)
            .arg(command.get_program())
            .args(command.get_args());
        helper.env(COOKIE, self.run.as_str()).process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => helper.env(name, value),
                None => helper.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            helper.current_dir(directory);
        }
        helper
    }

    fn is_interrupted(&self) -> bool {
        let Some(request) = &self.interrupted_by else { return false };
        !self.stops.is_empty() || fs_err::symlink_metadata(request).is_ok()
    }

    /// TERM first: on KILL git would leave its lock files. Then KILL in any case: the group may hold more than its
    /// leader, whose zombie keeps the number ours until it is collected.
    pub(crate) fn end_helper(&mut self, pid: i32) -> io::Result<()> {
        let group = Pid::from_raw(pid);
        let _gone = killpg(group, Signal::SIGTERM);
        self.wait_at_most(pid, SHORT_GRACE)?;
        let _gone = killpg(group, Signal::SIGKILL);
        let deadline = Instant::now() + SHORT_GRACE;
        // All of it: a sweep that follows would take the rest for what the engine has left.
        while Instant::now() < deadline && has_living(group) {
            self.turn(Some(deadline))?;
        }
        Ok(())
    }
}

fn has_living(group: Pid) -> bool {
    let below = tree::below(Pid::this().as_raw());
    below.iter().any(|process| process.pgid == group.as_raw() && !process.is_dead())
}

pub(crate) fn contents(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}
