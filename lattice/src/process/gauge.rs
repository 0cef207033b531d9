//! How much the descendants of this process use together, sampled: limits of their sum, which setrlimit(2) cannot set.
//! RLIMIT_AS is no substitute, because engines on V8 and JavaScriptCore reserve tens of gigabytes that they never
//! touch; RLIMIT_NPROC counts all processes of a user, and RLIMIT_CPU those of each process alone.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::cgroup::Group;
use super::table;
use crate::model::outcome::Reason;
use crate::process::reap;

/// A page fault costs a microsecond or so for 4 KiB: between two looks a process can take about a gigabyte more.
const INTERVAL: Duration = Duration::from_millis(250);

/// A look at many processes takes long. So many times as long is none: looking costs a core a twentieth at most.
const REST: u32 = 20;

/// What all of them together may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// In bytes.
    pub memory: Option<u64>,
    /// Threads counted, as the kernel counts them for RLIMIT_NPROC.
    pub processes: Option<u64>,
    pub cpu: Option<Duration>,
}

/// Looks at most once per interval.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gauge {
    allowance: Allowance,
    /// What the children that had been reaped before have used.
    before: f64,
    #[serde(skip, default = "Instant::now")]
    next: Instant,
    /// Where the kernel holds them to what they have in memory and processes.
    group: Option<Group>,
}

impl Gauge {
    /// `None` where there is nothing to look at.
    pub fn new(allowance: Allowance, group: Option<Group>) -> Option<Self> {
        (allowance != Allowance::default()).then(|| Self {
            allowance,
            before: reaped(),
            next: Instant::now(),
            group,
        })
    }

    pub fn next_look(&self) -> Instant {
        self.next
    }

    /// Spared processes and their descendants do not count.
    pub fn exceeded(&mut self, spared: &dyn Fn(i32) -> bool) -> Option<Reason> {
        let begin = Instant::now();
        if begin < self.next {
            return None;
        }
        let found = self.look(spared);
        let end = Instant::now();
        self.next = end + INTERVAL.max((end - begin) * REST);
        found
    }

    /// Not theirs, of what children that have been reaped have used.
    pub fn leave_out(&mut self, cpu_seconds: f64) {
        self.before += cpu_seconds;
    }

    /// Whether those that have ended and been reaped have used up all processor time by themselves.
    pub fn cpu_is_spent(&self) -> bool {
        self.is_over(reaped() - self.before)
    }

    fn look(&self, spared: &dyn Fn(i32) -> bool) -> Option<Reason> {
        let Allowance { mut memory, mut processes, cpu } = self.allowance;
        if let Some(group) = &self.group {
            if processes.is_some() && group.refused_forks() > 0 {
                return Some(Reason::ProcessLimit);
            }
            (memory, processes) = (None, None);
        }
        if (memory, processes, cpu) == (None, None, None) {
            return None;
        }
        let pids = below(Pid::this().as_raw(), spared);
        if memory.is_some_and(|limit| is_too_much(&pids, limit)) {
            return Some(Reason::MemoryLimit);
        }
        if processes.is_none() && cpu.is_none() {
            return None;
        }
        let (mut threads, mut ticks) = (0, 0);
        for stat in pids.iter().filter_map(|&pid| table::stat(pid)) {
            threads += stat.threads;
            ticks += stat.cpu_ticks;
        }
        if processes.is_some_and(|limit| threads > limit) {
            return Some(Reason::ProcessLimit);
        }
        let alive = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        self.is_over(alive + reaped() - self.before).then_some(Reason::CpuLimit)
    }

    fn is_over(&self, cpu_seconds: f64) -> bool {
        self.allowance.cpu.is_some_and(|limit| cpu_seconds >= limit.as_secs_f64())
    }
}

/// Pages that processes share after a fork are counted once where it matters: the quick sum counts them for each, and
/// only above the limit the exact one is made.
fn is_too_much(pids: &BTreeSet<i32>, limit: u64) -> bool {
    let sum = |of: fn(i32) -> u64| pids.iter().map(|&pid| of(pid)).sum::<u64>();
    sum(table::memory) > limit && sum(table::exact_memory) > limit
}

/// Their time has gone from the process table into what wait(2) gave us; only that of a process whose parent ignored
/// SIGCHLD is nowhere.
fn reaped() -> f64 {
    reap::children_usage().map_or(0.0, |usage| usage.cpu_seconds)
}

fn below(root: i32, spared: &dyn Fn(i32) -> bool) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for pid in table::children(parent) {
            if !spared(pid) && found.insert(pid) {
                parents.push(pid);
            }
        }
    }
    found
}
