//! One process struck at one system call: killed, alone or with all others, refused by the system, or cut short.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::pool::{self, Limits};
use super::seeds::Random;
use super::stage::{Stage, traces};
use super::table::Row;

/// Calls that change the world, or hand something over to another process. Between two of them a kill at one call
/// is like a kill at any other.
const ACTS: &str = "open openat openat2 mkdir mkdirat rename renameat renameat2 link linkat unlink unlinkat rmdir \
                    fsync fdatasync flock write pwrite64 ftruncate fallocate clone clone3 vfork fork execve sendto \
                    sendmsg recvfrom recvmsg read exit_group kill pidfd_send_signal wait4 waitid splice poll \
                    socketpair pipe2 dup dup2 dup3 prctl setsid setpgid fchmod symlink copy_file_range utimensat";

/// The errors, and the calls that can return them.
const ERRORS: [(&str, &str); 8] = [
    (
        "ENOSPC",
        "openat mkdir write pwrite64 fsync fdatasync rename renameat2 link linkat fallocate ftruncate splice",
    ),
    (
        "EIO",
        "openat read write pwrite64 fsync fdatasync rename renameat2 link linkat unlink unlinkat rmdir getdents64 statx \
         fallocate ftruncate splice readlink",
    ),
    ("EMFILE", "openat openat2 socketpair pipe2 dup fcntl pidfd_open"),
    ("EAGAIN", "clone clone3 vfork fork"),
    ("ENOMEM", "openat mmap brk clone clone3 vfork execve poll statx"),
    ("EACCES", "openat mkdir rename renameat2 link linkat unlink unlinkat rmdir execve statx"),
    (
        "EINTR",
        "openat read write poll flock wait4 waitid splice recvfrom recvmsg sendto sendmsg fallocate",
    ),
    ("short", "write pwrite64 sendto splice read copy_file_range"),
];

/// A series of strikes.
#[derive(Clone, Copy)]
pub struct Series {
    pub name: &'static str,
    worker: &'static str,
    /// Roles that are struck; each also while its child is not yet another program.
    roles: &'static [&'static str],
    fault: &'static str,
    quick: usize,
    full: usize,
}

const EVERYBODY: &[&str] = &["cli", "stage0", "warden", "shim", "gate", "helper"];

pub const KILLS: [Series; 7] = [
    series("5 8 SIGKILL of the CLI", "Work", &["cli"], "kill", 14, 160),
    series("5 SIGKILL of the shim", "Work", &["shim"], "kill", 24, 300),
    series("6 SIGKILL of the warden", "Work", &["stage0", "warden"], "kill", 12, 100),
    series("5 SIGKILL of gate and helpers", "Work", &["gate", "helper"], "kill", 8, 60),
    series("5 SIGKILL of the warden that finishes", "NoShim", &["warden"], "kill", 16, 200),
    series("7 SIGKILL of the last shim", "NoWarden", &["shim"], "kill", 16, 200),
    series("7 13 SIGKILL of all at once", "Work", EVERYBODY, "kill-all", 24, 300),
];

const fn series(
    name: &'static str,
    worker: &'static str,
    roles: &'static [&'static str],
    fault: &'static str,
    quick: usize,
    full: usize,
) -> Series {
    Series { name, worker, roles, fault, quick, full }
}

/// A refusal for each error, to everybody, once and for a while.
pub fn refusals() -> Vec<Series> {
    ERRORS.iter().map(|(error, _)| series(error, "Work", EVERYBODY, error, 8, 80)).collect()
}

pub const REAPER: Series =
    series("9 SIGKILL of the reaper, then three", "Lost", &["cli", "finish"], "kill", 16, 160);

impl Series {
    pub fn row(&self, is_full: bool, seed: u64, limits: Limits) -> Row {
        let stage = Stage::new();
        if let Err(why) = traces(&stage.sandbox) {
            return Row::skipped(self.title(), why);
        }
        let mut row = Row::new(self.title());
        let seeds = self.seeds(&stage, if is_full { self.full } else { self.quick }, seed);
        drop(stage);
        pool::each(&mut row, &seeds, limits, Stage::new, trial);
        row
    }

    fn title(&self) -> String {
        if ERRORS.iter().any(|(error, _)| *error == self.fault) {
            let what = if self.fault == "short" { "short reads and writes" } else { self.fault };
            format!("18 19 20 {what}, of everybody")
        } else {
            self.name.to_owned()
        }
    }

    /// The moments of a run that nobody strikes, chosen at random so that every call and role has its share.
    pub fn seeds(&self, stage: &Stage, count: usize, seed: u64) -> Vec<String> {
        let calls = calls(stage, self.worker);
        let wanted =
            ERRORS.iter().find(|(error, _)| *error == self.fault).map_or(ACTS, |(_, on)| on);
        let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        for (role, call, ordinal) in calls {
            let is_role = self.roles.contains(&role.trim_end_matches('\''));
            if is_role && wanted.split_whitespace().any(|name| name == call) {
                groups.entry((role, call)).or_default().push(ordinal);
            }
        }
        let mut random = Random::new(seed);
        let mut moments = Vec::new();
        for ((role, call), mut ordinals) in groups {
            random.shuffle(&mut ordinals);
            // The n-th of each group comes n-th, so that a short list has something of everything.
            let place = |n: usize| (n, role.clone(), call.clone());
            moments.extend(ordinals.into_iter().enumerate().map(|(n, at)| (place(n), at)));
        }
        random.shuffle(&mut moments);
        // The rare moments first, up to half of the list; then the crowd.
        let (mut rare, mut crowd): (Vec<_>, Vec<_>) =
            moments.into_iter().partition(|((n, ..), _)| *n < 2);
        let at_least = count - count.min(rare.len()).min(count / 2);
        let many = crowd.len().min(at_least);
        crowd.truncate(many);
        rare.truncate(count - many);
        let mut chosen: Vec<_> = rare.into_iter().chain(crowd).collect();
        random.shuffle(&mut chosen);
        let mut seed = |((_, role, call), ordinal): ((usize, String, String), usize)| {
            let many = self.lasts() && (call == "socketpair" || random.below(3) == 0);
            let while_ = if many { "*6" } else { "" };
            format!("strike {} {role}:{call}:{ordinal}:{}{while_}", self.worker, self.fault)
        };
        chosen.into_iter().map(&mut seed).collect()
    }

    fn lasts(&self) -> bool {
        ["ENOSPC", "EIO", "EMFILE"].contains(&self.fault)
    }
}

/// Role, system call and ordinal of everything that is done in a run, or in the reaping of one.
type Calls = Vec<(String, String, usize)>;

/// Those of a run of this worker that nobody strikes: looked at once.
fn calls(stage: &Stage, worker: &str) -> Calls {
    static KNOWN: Mutex<BTreeMap<String, Calls>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let calls = known.entry(worker.to_owned()).or_insert_with(|| {
        if worker == "Lost" { reap_calls(stage) } else { run_calls(stage, worker) }
    });
    calls.clone()
}

fn run_calls(stage: &Stage, worker: &str) -> Calls {
    let before = stage.runs();
    let (finished, report) = stage.struck(stage.start(worker), "-");
    finished.ok();
    stage.settle("a run that nobody strikes", &before, None);
    report.calls
}

fn lose(stage: &Stage) {
    stage.start("Lost").run().ok();
    // The engine kills both of its supervisors, and dies with the shim.
    stage.sandbox.socket.peer("main").wait_dead(crate::harness::waiting::SOON);
}

fn reap_calls(stage: &Stage) -> Calls {
    let before = stage.runs();
    lose(stage);
    let (finished, report) = stage.struck(stage.sandbox.lattice(["worker", "reap"]), "-");
    finished.ok();
    stage.settle("a reap that nobody strikes", &before, None);
    report.calls
}

/// `strike WORKER STRIKE`.
pub fn trial(stage: &Stage, seed: &str) -> Option<Duration> {
    let words: Vec<_> = seed.split(' ').collect();
    let [_, worker, strike] = words[..] else { panic!("no seed of a strike: {seed}") };
    let before = stage.runs();
    let struck = if worker == "Lost" {
        lose(stage);
        let (_, report) = stage.struck(stage.sandbox.lattice(["worker", "reap"]), strike);
        let calls = [0; 3].map(|_| stage.sandbox.lattice(["worker", "reap"]).start());
        calls.into_iter().for_each(|call| drop(call.finish().ok()));
        report
    } else {
        let (finished, report) = stage.struck(stage.start(worker), strike);
        let code = finished.code.unwrap_or_default();
        assert!(code != 70 && code != 101, "{seed}: a bug: {finished}");
        report
    };
    let settled = stage.settle(seed, &before, struck.struck);
    assert_eq!(struck.strays, [""; 0], "{seed}: signals to strangers");
    if let Some(end) = &settled.end {
        stage.remove_kept(end);
    }
    settled.time.filter(|_| struck.struck.is_some())
}
