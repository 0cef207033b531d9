//! Processes as the kernel shows them: held by a descriptor that no reused number can deceive.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::waiting::{SOON, eventually};

/// One process, alive or dead. Opening it pins its identity; its death makes the descriptor readable.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    fd: OwnedFd,
}

impl Process {
    /// `None` if there is no such process any more.
    pub fn open(pid: i32) -> Option<Self> {
        let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, fd })
    }

    /// The parent, as `/proc` states it now.
    #[track_caller]
    pub fn parent(&self) -> Self {
        let pid = stat_field(self.pid, 4).expect("a live process has a stat file");
        Self::open(pid.parse().expect("ppid is a number"))
            .expect("a parent is alive while its child runs")
    }

    /// The nearest ancestor whose command line holds `word`.
    #[track_caller]
    pub fn ancestor(&self, word: &str) -> Self {
        let mut process = self.parent();
        while !command_line(process.pid).contains(word) {
            assert!(process.pid > 1, "{} has no ancestor called {word}", describe(self.pid));
            process = process.parent();
        }
        process
    }

    /// What its descriptors lead to.
    pub fn open_files(&self) -> Vec<String> {
        let listing = fs_err::read_dir(format!("/proc/{}/fd", self.pid));
        let entries = listing.into_iter().flatten().flatten();
        let targets = entries.filter_map(|entry| fs_err::read_link(entry.path()).ok());
        targets.map(|path| path.display().to_string()).collect()
    }

    pub fn signal(&self, signal: Signal) {
        // ESRCH: it has ended by itself, which the callers' own checks will judge.
        let sent = pidfd_send_signal(&self.fd, signal);
        assert!(
            matches!(sent, Ok(()) | Err(rustix::io::Errno::SRCH)),
            "signal to {}: {sent:?}",
            self.pid
        );
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Until a signal waits to be delivered, or no longer does.
    #[track_caller]
    pub fn wait_pending(&self, signal: Signal, pending: bool) {
        let bit = 1_u64 << (signal.as_raw() - 1);
        eventually("a signal is pending, or is delivered", SOON, || {
            let set = |field| self.status(field).and_then(|s| u64::from_str_radix(&s, 16).ok());
            let sets = ["SigPnd", "ShdPnd"].map(|field| set(field).unwrap_or(0));
            let is_pending = sets.iter().any(|set| set & bit != 0);
            if is_pending == pending { Ok(()) } else { Err(format!("{sets:x?}")) }
        });
    }

    /// Until it waits for events: a supervisor then has done all that there was to do.
    #[track_caller]
    pub fn wait_polling(&self) {
        eventually("it waits in poll(2)", SOON, || {
            let place = fs_err::read_to_string(format!("/proc/{}/wchan", self.pid));
            let place = place.unwrap_or_default();
            if place.contains("poll") { Ok(()) } else { Err(place) }
        });
    }

    /// One line of `/proc/PID/status`.
    pub fn status(&self, field: &str) -> Option<String> {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    }

    /// The child whose command line holds `word`.
    pub fn child(&self, word: &str) -> Option<Self> {
        let children =
            fs_err::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).ok()?;
        let mut pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.find(|pid| command_line(*pid).contains(word)).and_then(Self::open)
    }

    /// Dead includes a zombie that its parent has not reaped yet.
    pub fn is_dead(&self) -> bool {
        self.dies_within(Duration::ZERO)
    }

    pub fn dies_within(&self, limit: Duration) -> bool {
        let timeout = Timespec::try_from(limit).expect("a limit in a test fits a timespec");
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).expect("poll of a pidfd") == 1
    }

    #[track_caller]
    pub fn wait_dead(&self, limit: Duration) {
        assert!(self.dies_within(limit), "still alive after {limit:?}: {}", describe(self.pid));
    }
}

/// Field `number` (counted from 1, as in proc(5)) of `/proc/PID/stat`, from the state (3) on.
pub fn stat_field(pid: i32, number: usize) -> Option<String> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses; the last parenthesis ends it.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(number - 3).map(str::to_owned)
}

/// The live processes of a session (setsid(2)).
pub fn in_session(leader: i32) -> Vec<Process> {
    let session = leader.to_string();
    let is_member = |pid: &i32| stat_field(*pid, 6).as_ref() == Some(&session);
    pids().filter(is_member).filter_map(Process::open).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    fs_err::read_dir("/proc").expect("/proc is mounted").filter_map(|found| {
        let name = found.ok()?.file_name();
        name.to_str()?.parse().ok()
    })
}

/// The live processes whose environment holds `entry` (`NAME=value`). A zombie has no environment.
pub fn carrying(entry: &str) -> Vec<Process> {
    pids()
        .filter(|pid| environment_holds(*pid, entry))
        .filter_map(Process::open)
        .filter(|p| !p.is_dead())
        .collect()
}

fn environment_holds(pid: i32, entry: &str) -> bool {
    let environment = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
}

fn command_line(pid: i32) -> String {
    let line = fs_err::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// For the message of a failing test.
pub fn describe(pid: i32) -> String {
    let line = command_line(pid);
    let (state, parent) =
        (stat_field(pid, 3).unwrap_or_default(), stat_field(pid, 4).unwrap_or_default());
    format!("{pid} (state {state}, parent {parent}): {line}")
}
