//! A campaign of kills: which moments are tried, and what must hold after each.

use std::path::Path;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::io::Errno;

use super::binaries::variable;
use super::sandbox::Sandbox;
use super::strace::Moment;
use super::waiting::{SOON, eventually};

/// System calls that change the world, or hand something over to another process.
const ACTS: &str = "openat mkdir mkdirat rename renameat renameat2 link linkat unlink unlinkat rmdir fsync \
                    fdatasync flock write pwrite64 ftruncate fallocate clone clone3 vfork sendto recvfrom read \
                    exit_group kill pidfd_send_signal wait4 waitid splice poll";

/// Trials of a sample, and of a full campaign (`LATTICE_TEST_CAMPAIGN=full`): a search through `/proc` is
/// thousands of calls, of which one is like the other.
pub const SAMPLE: usize = 40;
const FULL: usize = 400;

/// Whether everything is to be tried.
pub fn is_full() -> bool {
    variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full")
}

/// Evenly spread moments that act, the first and the last among them.
#[track_caller]
pub fn chosen(moments: Vec<Moment>) -> Vec<Moment> {
    sampled(moments, SAMPLE)
}

/// The same with another number of trials.
#[track_caller]
pub fn sampled(moments: Vec<Moment>, count: usize) -> Vec<Moment> {
    let acts = |moment: &Moment| ACTS.split_whitespace().any(|act| act == moment.syscall);
    let moments: Vec<_> = moments.into_iter().filter(acts).collect();
    assert!(moments.len() > count, "the trace shows the work: {moments:?}");
    spread(&moments, if is_full() { moments.len().min(FULL) } else { count })
}

/// At most so many, evenly spread, the first and the last among them.
pub fn spread(moments: &[Moment], count: usize) -> Vec<Moment> {
    let last = moments.len() - 1;
    let count = count.min(moments.len());
    (0..count).map(|n| moments[n * last / (count - 1).max(1)].clone()).collect()
}

/// After at most one ordinary call: every start has its one end, and nothing is left.
#[track_caller]
pub fn assert_settled(sandbox: &Sandbox, moment: &Moment) {
    let settled = || {
        let runs = sandbox.runs_of(&sandbox.task);
        let open: Vec<_> = runs
            .iter()
            .filter(|(_, (starts, ends))| (starts.len(), ends.len()) != (1, 1))
            .collect();
        let left = sandbox.traces();
        let fits = open.is_empty() && left.is_empty();
        if fits { Ok(()) } else { Err(format!("{moment:?}: {open:#?} {left:#?}")) }
    };
    // What is alive goes on by itself, and no call may be needed for that. What the dead left needs one.
    eventually("the supervisors have ended", SOON, || match (settled(), supervisors(sandbox)) {
        (Ok(()), _) | (_, 0) => Ok(()),
        (Err(state), _) => Err(state),
    });
    if settled().is_ok() {
        return;
    }
    age_unlocked(sandbox);
    sandbox.lattice(["worker", "ps"]).run().ok();
    eventually("everything has settled", SOON, settled);
}

/// Live supervisors: what may still end a run without a call.
pub fn supervisors(sandbox: &Sandbox) -> usize {
    let is_supervisor = |line: &&String| {
        ["warden", "shim", "finish", "stage0"].iter().any(|role| line.contains(role))
    };
    sandbox.processes().iter().filter(is_supervisor).count()
}

/// A directory whose maker died before it made the lock file is garbage only after a minute: it is made old.
pub fn age_unlocked(sandbox: &Sandbox) {
    let entries = fs::read_dir(sandbox.lattice_dir().join("runs"));
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name().display().to_string();
        let is_new = [".new-", ".tmp."].iter().any(|kind| name.starts_with(kind));
        if is_new && !entry.path().join("lock").exists() {
            make_old(&entry.path());
        }
    }
}

fn make_old(path: &Path) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    let then = now.saturating_sub(Duration::from_mins(2));
    let time = Timespec::try_from(then).expect("a time fits");
    let times = Timestamps { last_access: time, last_modification: time };
    let done = utimensat(CWD, path, &times, AtFlags::empty());
    assert!(matches!(done, Ok(()) | Err(Errno::NOENT)), "{}: {done:?}", path.display());
}
