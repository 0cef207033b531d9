//! Processes as the kernel shows them: held by a descriptor that no reused number can deceive.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

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

/// The live processes whose environment holds `entry` (`NAME=value`). A zombie has no environment.
pub fn carrying(entry: &str) -> Vec<Process> {
    let pids = fs_err::read_dir("/proc").expect("/proc is mounted").filter_map(|found| {
        let name = found.ok()?.file_name();
        name.to_str()?.parse().ok()
    });
    pids.filter(|pid| environment_holds(*pid, entry))
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
