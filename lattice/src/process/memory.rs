//! How much memory the descendants of this process use, sampled: a limit of their sum, which setrlimit(2) cannot set.
//! RLIMIT_AS is no substitute: engines on V8 and JavaScriptCore reserve tens of gigabytes that they never touch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::table;

/// A page fault costs a microsecond or so for 4 KiB: between two looks a process can take about a gigabyte more.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks at most once per interval.
#[derive(Debug)]
pub struct Gauge {
    limit: u64,
    next: Instant,
}

impl Gauge {
    /// In bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, next: Instant::now() }
    }

    pub fn next_look(&self) -> Instant {
        self.next
    }

    /// Spared processes and their descendants do not count. Pages that processes share after a fork are counted once
    /// where it matters: the quick sum counts them for each, and only above the limit the exact one is made.
    pub fn is_exceeded(&mut self, spared: &dyn Fn(i32) -> bool) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.next = now + INTERVAL;
        let pids = below(Pid::this().as_raw(), spared);
        let sum = |of: fn(i32) -> u64| pids.iter().map(|&pid| of(pid)).sum::<u64>();
        sum(table::memory) > self.limit && sum(table::exact_memory) > self.limit
    }
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
