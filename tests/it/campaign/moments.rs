//! The system calls of a run that nobody strikes: the moments at which one can be struck.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::errors::can_return;
use super::seeds::Random;
use super::stage::{RUN_FAILED, Stage, SystemCall, WAITED, lose};

/// Calls that change the world, or hand something over to another process, or take it. A kill as one of them begins is
/// like one at any call since the one before it: what else a process does is its own, and dies with it.
const ACTS: &str = "open openat openat2 close mkdir mkdirat rename renameat renameat2 link linkat unlink unlinkat rmdir \
                    fsync fdatasync syncfs flock write pwrite64 ftruncate fallocate clone clone3 vfork fork execve sendto \
                    sendmsg recvfrom recvmsg read exit exit_group kill pidfd_send_signal wait4 waitid splice poll ppoll \
                    socketpair pipe2 dup dupfd dup2 dup3 prctl setsid setpgid chmod fchmod fchmodat chown fchown \
                    symlink symlinkat copy_file_range utimensat alarm umask";

/// One run is not quite like the next: what one of so many shows is a moment.
const LOOKS: usize = 2;

/// On a busy machine a supervisor may have to wait so long that it goes on in its second image, as few runs do.
const LOOKS_AT_MOST: usize = 30;

/// Those of a run of this worker, or of its reaping; looked at once.
pub fn of(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    static KNOWN: Mutex<BTreeMap<String, Vec<SystemCall>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(worker.to_owned()).or_insert_with(|| union(stage, worker)).clone()
}

type Moment = (String, String, usize);

fn moment(call: &SystemCall) -> Moment {
    (call.role.clone(), call.name.clone(), call.ordinal)
}

/// Those of a run of the one worker that the other one has not.
pub fn beyond(stage: &Stage, worker: &str, other: &str) -> Vec<SystemCall> {
    let known: BTreeSet<Moment> = of(stage, other).iter().map(moment).collect();
    of(stage, worker).into_iter().filter(|call| !known.contains(&moment(call))).collect()
}

fn union(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    let mut all: BTreeMap<Moment, SystemCall> = BTreeMap::new();
    for _ in 0..LOOKS {
        for call in usual(stage, worker) {
            let known = all.entry(moment(&call)).or_insert_with(|| call.clone());
            known.length = known.length.max(call.length);
            known.alone |= call.alone;
        }
    }
    all.into_values().collect()
}

/// What comes after the death of a supervisor is looked for in the first image of the other one.
fn usual(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    let waits = |call: &SystemCall| call.role.trim_end_matches('\'').ends_with("-waits");
    for _ in 1..LOOKS_AT_MOST {
        let calls = look(stage, worker);
        if !["NoShim", "NoWarden"].contains(&worker) || !calls.iter().any(waits) {
            return calls;
        }
    }
    look(stage, worker)
}

fn look(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    let before = stage.runs();
    let call = if worker == "Lost" {
        lose(stage);
        stage.sandbox.lattice(["worker", "reap"])
    } else {
        stage.start(worker)
    };
    let (finished, report) = stage.struck(call, "-", false);
    finished.exits(if worker == WAITED { RUN_FAILED } else { 0 });
    stage.settle("a run that nobody strikes", &before, None);
    report.calls
}

/// Whether this fault can strike that call.
pub fn fits(call: &SystemCall, fault: &str) -> bool {
    match fault {
        "kill" | "kill-all" => true,
        "EAGAIN" => call.would_block && can_return(&call.name, fault),
        "short" => call.length > 1 && can_return(&call.name, fault),
        error => can_return(&call.name, error),
    }
}

pub fn acts(call: &SystemCall) -> bool {
    ACTS.split_whitespace().any(|name| name == call.name)
}

/// So many, chosen at random so that every call and role has its share: the rare ones up to half of the list, then
/// the crowd.
pub fn sample(all: Vec<(String, SystemCall)>, count: usize, random: &mut Random) -> Vec<String> {
    let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (seed, call) in all {
        groups.entry((call.role, call.name)).or_default().push(seed);
    }
    let (mut rare, mut crowd) = (Vec::new(), Vec::new());
    for mut seeds in groups.into_values() {
        random.shuffle(&mut seeds);
        crowd.extend(seeds.split_off(seeds.len().min(2)));
        rare.extend(seeds);
    }
    random.shuffle(&mut rare);
    random.shuffle(&mut crowd);
    let at_least = count - count.min(rare.len()).min(count / 2);
    crowd.truncate(at_least);
    rare.truncate(count - crowd.len());
    rare.append(&mut crowd);
    random.shuffle(&mut rare);
    rare
}
