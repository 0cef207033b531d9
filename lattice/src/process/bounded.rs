//! Runs one helper to its end or to its limit, for a process that has nothing else to wait for. Must not be used
//! by a supervisor: it blocks.
//!
//! Needs SIGCHLD at a handler or its default, and nobody else who waits for children.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use wait_timeout::ChildExt;

use super::helper::{HelperOutput, Helpers, scratch_file};
use super::tree::{self, Plan};
use super::{inherit, reap, table};

/// How often a waiting call looks whether its caller gave up.
const SLICE: Duration = Duration::from_millis(100);
/// Between TERM and KILL: git removes its lock files on TERM, not on KILL.
const GRACE: Duration = Duration::from_secs(2);
/// After KILL: a process in the kernel's uninterruptible sleep must not hold us.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// What is kept of each output stream.
const OUTPUT_LIMIT: u64 = 64 << 20;

/// The command line's way of running helpers.
#[derive(Debug, Default)]
pub struct Bounded;

impl Helpers for Bounded {
    /// The output goes to files without a name: a helper can neither fill a pipe that nobody reads, nor keep one open
    /// through a process that it leaves behind.
    fn run(
        &mut self,
        mut command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let stdout = scratch_file()?;
        let stderr = scratch_file()?;
        if let Some(bytes) = stdin {
            command.stdin(input(&bytes)?);
        }
        command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        let ended = wait_until(&mut lead(command)?, limit, &|| false, &mut end_group)?;
        let (code, signal, timed_out) = match ended {
            Ended::ByItself(status) => (status.code(), status.signal(), false),
            Ended::TimedOut | Ended::GivenUp => (None, None, true),
        };
        Ok(HelperOutput {
            code,
            signal,
            timed_out,
            stdout: contents(stdout)?,
            stderr: contents(stderr)?,
        })
    }
}

/// How a bounded process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    ByItself(ExitStatus),
    TimedOut,
    /// The caller lost interest; ended like a late one.
    GivenUp,
}

/// A file that holds `bytes`, positioned at its start, for use as a standard input.
pub fn input(bytes: &[u8]) -> io::Result<File> {
    let mut file = scratch_file()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// Waits for `command`, at most for `limit` and only until `give_up`. What it leaves behind if it ends by itself is its
/// own affair; a late one ends with all that it has started, in whatever session, but for what is `spared` with all
/// that is below that.
pub fn run_until(
    command: Command,
    limit: Duration,
    give_up: &dyn Fn() -> bool,
    spared: &dyn Fn(i32) -> bool,
) -> io::Result<Ended> {
    let older = Older::look();
    // What it starts and leaves comes to us, and so can be found.
    inherit::adopt_orphans(true)?;
    let ended = lead(command).and_then(|mut child| {
        let leader = child.id().cast_signed();
        let spared = |pid| older.has(pid) || spared(pid);
        let plan =
            Plan { leader: Some(leader), grace: GRACE, patience: LAST_WAIT, spared: &spared };
        wait_until(&mut child, limit, give_up, &mut |child| {
            tree::end(&plan, &mut |time| {
                thread::sleep(time);
                Ok(false)
            })?;
            wait(child, LAST_WAIT).map(drop)
        })
    });
    inherit::adopt_orphans(false)?;
    older.collect_others();
    ended
}

/// What is below this process before it starts another one: the jobs of hooks that have ended in time. What these start
/// in the meantime is told by its group.
struct Older(BTreeSet<i32>);

impl Older {
    fn look() -> Self {
        let below = tree::below(std::process::id().cast_signed());
        Self(below.iter().flat_map(|process| [process.pid, process.pgid]).collect())
    }

    fn has(&self, pid: i32) -> bool {
        !self.0.is_empty()
            && (self.0.contains(&pid)
                || table::stat(pid).is_some_and(|process| self.0.contains(&process.pgid)))
    }

    /// The ended among those that have come to us since: one who runs many hooks must not fill the process table.
    fn collect_others(&self) {
        let children = table::children(std::process::id().cast_signed());
        for pid in children.into_iter().filter(|pid| !self.0.contains(pid)) {
            reap::collect(pid);
        }
    }
}

/// The leader of a group of its own.
fn lead(mut command: Command) -> io::Result<Child> {
    command.process_group(0).spawn()
}

fn wait_until(
    child: &mut Child,
    limit: Duration,
    give_up: &dyn Fn() -> bool,
    end: &mut dyn FnMut(&mut Child) -> io::Result<()>,
) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match wait(child, left.min(SLICE)) {
            Ok(Some(status)) => return Ok(Ended::ByItself(status)),
            Ok(None) => {}
            Err(error) => {
                // Who cannot wait for it must not leave it behind either.
                end(child)?;
                return Err(error);
            }
        }
        if give_up() {
            end(child)?;
            return Ok(Ended::GivenUp);
        }
        if left.is_zero() {
            end(child)?;
            return Ok(Ended::TimedOut);
        }
    }
}

/// For the status, at most for `limit`. `wait_timeout` alone would do, but it panics where the kernel has no memory
/// for its poll(2), so it is for systems without descriptors of processes (Linux 5.3).
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::io::Errno;
        use rustix::process::{PidfdFlags, pidfd_open};
        let pid = rustix::process::Pid::from_child(child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => {
                let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
                return match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)) {
                    Ok(_) | Err(Errno::INTR) => child.try_wait(),
                    Err(error) => Err(error.into()),
                };
            }
            Err(Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    can_wait()?;
    child.wait_timeout(limit)
}

/// Once in a process `wait_timeout` makes a pair of sockets, and panics where it cannot have them.
fn can_wait() -> io::Result<()> {
    std::os::unix::net::UnixStream::pair().map(drop)
}

/// TERM, then KILL, to the whole group. The leader is not reaped before the KILL, so that the group's number
/// cannot have been given to another group by then.
fn end_group(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process ID fits pid_t"));
    signal_group(group, Signal::SIGTERM)?;
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && !has_exited(child)? {
        thread::sleep(Duration::from_millis(10));
    }
    signal_group(group, Signal::SIGKILL)?;
    wait(child, LAST_WAIT).map(drop)
}

fn signal_group(group: Pid, signal: Signal) -> io::Result<()> {
    match killpg(group, signal) {
        // macOS says EPERM where every member is a zombie.
        Ok(()) | Err(nix::Error::ESRCH | nix::Error::EPERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the child has ended, without taking its status away.
fn has_exited(child: &Child) -> io::Result<bool> {
    let pid = rustix::process::Pid::from_child(child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

fn contents(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::spawn::command;

    fn shell(script: &str) -> Command {
        let mut shell = command("/bin/sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn output_beyond_a_pipe_and_the_status_are_kept() {
        let output = Bounded
            .run(
                shell("head -c 300000 /dev/zero; cat >&2; exit 3"),
                Some(b"in".to_vec()),
                Duration::from_secs(10),
            )
            .unwrap();
        assert_eq!((output.code, output.signal, output.timed_out), (Some(3), None, false));
        assert_eq!((output.stdout.len(), output.stderr.as_slice()), (300_000, &b"in"[..]));
    }

    #[test]
    fn a_late_helper_ends_with_its_children() {
        let begun = Instant::now();
        let script = "echo $$; (trap '' TERM; exec sleep 600) & trap '' TERM; wait; sleep 600";
        let output = Bounded.run(shell(script), None, Duration::from_millis(200)).unwrap();
        assert!(output.timed_out && output.code.is_none());
        assert!(begun.elapsed() < Duration::from_secs(5));
        let group = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        // The children are init's to reap; until then they are zombies, which still count as members.
        let deadline = Instant::now() + Duration::from_secs(5);
        while killpg(Pid::from_raw(group), None) == Ok(()) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_helper_that_leaves_a_child_behind_does_not_hold_us() {
        let begun = Instant::now();
        let output =
            Bounded.run(shell("sleep 3 & echo done"), None, Duration::from_secs(10)).unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn giving_up_ends_the_helper() {
        assert_eq!(
            run_until(shell("sleep 600"), Duration::from_mins(1), &|| true, &|_| false).unwrap(),
            Ended::GivenUp
        );
    }
}
