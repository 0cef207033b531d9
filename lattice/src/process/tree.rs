//! Ending everything below a subreaper. Agents run their tools in sessions of their own, so a group or session
//! kill misses them; every orphan of the tree is reparented to us, and that is what this relies on.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::reap::{self, Child};
use super::table::{self, Stat};
use crate::controls::{self, Control};
use crate::model::outcome::Facts;

/// A process in uninterruptible sleep may outlive SIGKILL; the record does not wait longer than this for it.
pub const UNKILLABLE_AFTER: Duration = Duration::from_mins(1);

/// The same for those of whom that is known already: a run is swept more than once.
pub const STILL_UNKILLABLE_AFTER: Duration = Duration::from_secs(1);

/// What a sweep had to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Processes, beside the leader, that were alive and got a signal.
    pub ended: BTreeSet<i32>,
    /// Processes that are still there.
    pub survivors: Vec<i32>,
}

impl Swept {
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.ended.extend(other.ended);
        self.survivors.extend(other.survivors);
        self
    }

    pub fn note_in(self, facts: &mut Facts) {
        facts.add(self.ended.len(), self.survivors);
    }
}

/// How a tree is to be ended.
pub struct Plan<'a> {
    /// The group's leader, our own child, not reaped yet: its zombie keeps the group's number ours.
    pub leader: Option<i32>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// How long SIGKILL may take.
    pub patience: Duration,
    /// Processes that are left alone with all of their descendants.
    pub spared: &'a dyn Fn(i32) -> bool,
}

/// TERM and CONT to all, the grace, then KILL until there is no child left but spared ones. `pause` sleeps at
/// most as long as it is told and returns early, with `true`, when the grace is to be cut short.
/// The leader is reaped last, and not here.
pub fn end(
    plan: &Plan<'_>,
    pause: &mut dyn FnMut(Duration) -> io::Result<bool>,
) -> io::Result<Swept> {
    let mut swept = Swept::default();
    if !others_alive(plan) {
        return Ok(swept);
    }
    let begin = Instant::now();
    let mut told = BTreeSet::new();
    let mut backoff = Backoff::new();
    while begin.elapsed() < plan.grace {
        let living = living(plan);
        if living.is_empty() {
            break;
        }
        for process in living.iter().filter(|process| told.insert(process.pid)) {
            count(&mut swept, plan, process);
            signal(process, Signal::SIGTERM);
            signal(process, Signal::SIGCONT);
        }
        if pause(backoff.next().min(plan.grace.saturating_sub(begin.elapsed())))? {
            break;
        }
    }
    kill_all(plan, &mut swept, pause)?;
    Ok(swept)
}

fn kill_all(
    plan: &Plan<'_>,
    swept: &mut Swept,
    pause: &mut dyn FnMut(Duration) -> io::Result<bool>,
) -> io::Result<()> {
    let begin = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        if let Some(leader) = plan.leader {
            // ESRCH when only the zombie is left.
            let _nobody = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
        let living = living(plan);
        if living.is_empty() && !others_alive(plan) {
            return Ok(());
        }
        if begin.elapsed() > plan.patience {
            swept.survivors = living.iter().map(|process| process.pid).collect();
            return Ok(());
        }
        for process in &living {
            count(swept, plan, process);
            signal(process, Signal::SIGKILL);
        }
        pause(backoff.next())?;
    }
}

fn count(swept: &mut Swept, plan: &Plan<'_>, process: &Stat) {
    if Some(process.pid) != plan.leader {
        swept.ended.insert(process.pid);
    }
}

/// The descendants that still run, without the spared and theirs. Children that have ended are reaped on the way.
fn living(plan: &Plan<'_>) -> Vec<Stat> {
    let mut found = Vec::new();
    if controls::is(Control::GroupKill) {
        return found;
    }
    let mut parents = vec![Pid::this().as_raw()];
    let own = parents[0];
    let mut seen = BTreeSet::from([own]);
    while let Some(parent) = parents.pop() {
        for pid in table::children(parent) {
            if !seen.insert(pid) || (plan.spared)(pid) {
                continue;
            }
            let leader = Some(pid) == plan.leader;
            if parent == own && !leader && reap::collect(pid) != Child::Running {
                continue;
            }
            if let Some(stat) = table::stat(pid).filter(|stat| !stat.is_dead()) {
                found.push(stat);
            }
            parents.push(pid);
        }
    }
    found
}

/// Everything below a process that the table shows.
pub fn below(pid: i32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    let mut seen = BTreeSet::from([pid]);
    while let Some(parent) = parents.pop() {
        for pid in table::children(parent).into_iter().filter(|pid| seen.insert(*pid)) {
            found.extend(table::stat(pid));
            parents.push(pid);
        }
    }
    found
}

/// Whether somebody other than the leader's zombie and the spared is left. The list of children may miss one
/// while it forks, so where nobody needs to be left out the kernel's own answer decides: ECHILD or not.
fn others_alive(plan: &Plan<'_>) -> bool {
    if controls::is(Control::GroupKill) {
        return false;
    }
    let mut left_out = 0;
    for pid in table::children(Pid::this().as_raw()) {
        let is_leader = plan.leader == Some(pid);
        // Whoever is spared is somebody's to reap, too.
        let is_spared = (plan.spared)(pid);
        let state = if is_leader || is_spared { reap::peek(pid) } else { reap::collect(pid) };
        match state {
            Child::Running | Child::Exited(_) if is_spared => left_out += 1,
            Child::Running => return true,
            Child::Exited(_) if is_leader => left_out += 1,
            Child::Exited(_) | Child::Unknown => {}
        }
    }
    left_out == 0 && reap::have_children()
}

/// Only a process that is still the one that was listed: a number may have been reused since.
pub(super) fn signal(process: &Stat, signal: Signal) {
    if let Some(handle) = Handle::open(process) {
        handle.send(signal);
    }
}

/// A process that cannot be mistaken for another while this is held (pidfd_open(2), Linux 5.3).
#[cfg(target_os = "linux")]
struct Handle(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Handle {
    fn open(process: &Stat) -> Option<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let descriptor = pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
        let now = table::stat(process.pid)?;
        (now.start_ticks == process.start_ticks).then_some(Self(descriptor))
    }

    fn send(&self, signal: Signal) {
        if let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) {
            // ESRCH: it has ended by itself.
            let _gone = rustix::process::pidfd_send_signal(&self.0, signal);
        }
    }
}

#[cfg(not(target_os = "linux"))]
struct Handle(i32);

#[cfg(not(target_os = "linux"))]
impl Handle {
    fn open(process: &Stat) -> Option<Self> {
        Some(Self(process.pid))
    }

    fn send(&self, signal: Signal) {
        let _gone = kill(Pid::from_raw(self.0), signal);
    }
}

/// A signal to a child or another process whose identity the caller has just verified.
pub fn send(pid: i32, signal: Signal) -> io::Result<()> {
    Ok(kill(Pid::from_raw(pid), signal)?)
}

/// 0.2 ms doubling to 20 ms: quick for a small tree, no spinning while the kernel tears a big one down.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(Duration::from_micros(200))
    }

    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_millis(20));
        now
    }
}
