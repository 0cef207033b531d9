//! Finding what is left of a run whose supervisors are both dead, when nobody is anybody's child any more.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid};

use super::identity::{self, Presence};
use super::table::{self, Stat};
use super::tree::{self, Backoff, Swept, UNKILLABLE_AFTER};
use crate::model::run::Identity;

/// The marks of a run's processes. Any one of the first three is proof; a place alone is proof only below our
/// own worktree, for a process without a terminal that began after the run.
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

/// Ends all that carry a mark, as `tree::end` does for descendants.
pub fn end(
    marks: &Marks,
    grace: Duration,
    spared: &dyn Fn(i32) -> bool,
    pause: &mut dyn FnMut(Duration) -> io::Result<bool>,
) -> io::Result<Swept> {
    let mut swept = Swept::default();
    let begin = Instant::now();
    let mut told = BTreeSet::new();
    let mut backoff = Backoff::new();
    loop {
        let found = find(marks, spared);
        if found.is_empty() {
            return Ok(swept);
        }
        if begin.elapsed() > grace + UNKILLABLE_AFTER {
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

/// Everything alive that carries a mark, without the spared, ourselves and our ancestors.
pub fn find(marks: &Marks, spared: &dyn Fn(i32) -> bool) -> Vec<Stat> {
    let all = table::all();
    let ours = own_line(&all);
    let uid = Uid::effective().as_raw();
    let alive = |leader: &&Identity| identity::presence(leader) == Presence::Alive;
    let group = marks.leader.as_ref().filter(alive).map(|leader| leader.pgid);
    all.into_iter()
        .filter(|process| !process.is_dead() && !ours.contains(&process.pid))
        .filter(|process| table::uid(process.pid) == Some(uid))
        .filter(|process| is_marked(marks, group, process) && !spared(process.pid))
        .collect()
}

fn is_marked(marks: &Marks, group: Option<i32>, process: &Stat) -> bool {
    group == Some(process.pgid)
        || table::carries(process.pid, &marks.cookie)
        || marks.pipe.is_some_and(|inode| table::holds_pipe(process.pid, inode))
        || sits_in_worktree(marks, process)
}

fn sits_in_worktree(marks: &Marks, process: &Stat) -> bool {
    let (Some(worktree), Some(since)) = (&marks.worktree, marks.since_ticks) else { return false };
    process.tty == 0
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
