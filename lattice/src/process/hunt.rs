//! Finding what is left of a run whose supervisors are both dead, when nobody is anybody's child any more.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid};

use super::identity::{self, Presence};
use super::table::{self, Stat};
use super::tree::{self, Backoff, Swept};
use crate::model::run::Identity;

/// The marks of a run's processes. Each of the first three is proof, whoever's the process is, but that a session may
/// hand the cookie on. A place alone is proof only below our own worktree, for a process of our user without a
/// terminal that began after the run.
pub struct Marks {
    /// `NAME=value` in the environment.
    pub cookie: String,
    /// Inode of the pipe that was the engine's output.
    pub pipe: Option<u64>,
    /// The engine; its group counts only while the leader itself is alive and verified.
    pub leader: Option<Identity>,
    pub worktree: Option<PathBuf>,
    /// Start of the run in clock ticks after boot.
    pub since_ticks: Option<u64>,
}

/// Programs that start others by somebody's order and with somebody's environment: what they have started may carry
/// a mark because a run has left it with them (`tmux setenv`, `systemctl --user import-environment`).
const SESSIONS: &[&str] = &[
    "tmux: server",
    "screen",
    "zellij",
    "dbus-daemon",
    "dbus-broker",
    "gnome-shell",
    "gnome-session-b",
    "plasmashell",
    "xfce4-session",
    "sway",
];

/// Ends all that carry a mark, as `tree::end` does for descendants. What may be somebody else's is a survivor.
pub fn end(
    marks: &Marks,
    grace: Duration,
    patience: Duration,
    spared: &dyn Fn(i32) -> bool,
    pause: &mut dyn FnMut(Duration) -> io::Result<bool>,
) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let begin = Instant::now();
    let mut told = BTreeSet::new();
    let mut backoff = Backoff::new();
    loop {
        let (found, foreign) = find(marks, spared);
        if found.is_empty() {
            swept.survivors = foreign;
            return Ok(swept);
        }
        if begin.elapsed() > grace + patience {
            swept.survivors = found.iter().map(|process| process.pid).collect();
            return Ok(swept);
        }
        let late = begin.elapsed() >= grace;
        for process in &found {
            swept.ended.insert(process.pid);
            if late {
                tree::signal(process, Signal::SIGKILL);
            } else if told.insert(process.pid) {
                tree::signal(process, Signal::SIGTERM);
                tree::signal(process, Signal::SIGCONT);
            }
        }
        pause(backoff.next())?;
    }
}

/// Everything alive that carries a mark, without the spared, ourselves and our ancestors; and the numbers of those
/// whose only mark may be a session's.
fn find(marks: &Marks, spared: &dyn Fn(i32) -> bool) -> (Vec<Stat>, Vec<i32>) {
    let all = table::all();
    let ours = own_line(&all);
    let alive = |leader: &&Identity| identity::presence(leader) == Presence::Alive;
    let group = marks.leader.as_ref().filter(alive).map(|leader| leader.pgid);
    let (mut found, mut foreign) = (Vec::new(), Vec::new());
    for process in &all {
        if process.is_dead() || ours.contains(&process.pid) {
            continue;
        }
        let is_marked = is_marked(marks, group, process);
        if !is_marked && !table::carries(process.pid, &marks.cookie) || spared(process.pid) {
            continue;
        }
        if !is_marked && is_of_a_session(&all, marks, process) {
            foreign.push(process.pid);
        } else {
            found.push(process.clone());
        }
    }
    (found, foreign)
}

/// Whether the first of its line that carries the cookie was started by a session that does not. An orphan of the
/// run may have such a parent too, if that adopts orphans, as a user's systemd does: its own services know by their
/// number that they are (systemd.exec(5), `SYSTEMD_EXEC_PID`).
fn is_of_a_session(all: &[Stat], marks: &Marks, process: &Stat) -> bool {
    let parent = |of: &Stat| all.iter().find(|other| other.pid == of.ppid);
    let mut first = process;
    while let Some(carrier) = parent(first).filter(|it| table::carries(it.pid, &marks.cookie)) {
        first = carrier;
    }
    let name = parent(first).and_then(|parent| table::command_name(parent.pid));
    match name.as_deref() {
        Some("systemd") => table::carries(first.pid, &format!("SYSTEMD_EXEC_PID={}", first.pid)),
        Some(name) => SESSIONS.contains(&name),
        None => false,
    }
}

/// By anything but the cookie.
fn is_marked(marks: &Marks, group: Option<i32>, process: &Stat) -> bool {
    group == Some(process.pgid)
        || marks.pipe.is_some_and(|inode| table::holds_pipe(process.pid, inode))
        || sits_in_worktree(marks, process)
}

fn sits_in_worktree(marks: &Marks, process: &Stat) -> bool {
    let (Some(worktree), Some(since)) = (&marks.worktree, marks.since_ticks) else { return false };
    process.tty == 0
        && table::uid(process.pid) == Some(Uid::effective().as_raw())
        && process.start_ticks >= since
        && table::cwd(process.pid).is_some_and(|cwd| cwd.starts_with(worktree))
}

fn own_line(all: &[Stat]) -> BTreeSet<i32> {
    let mut line = BTreeSet::new();
    let mut pid = Pid::this().as_raw();
    while pid > 0 && line.insert(pid) {
        pid = all.iter().find(|process| process.pid == pid).map_or(0, |process| process.ppid);
    }
    line
}
