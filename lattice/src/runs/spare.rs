//! Which processes below a run are none of its own: those of another run, because a run started inside a run outlives
//! it, and the git of another finisher.

use std::iter::successors;
use std::path::Path;

use super::directory::RunDir;
use crate::model::ids::RunId;
use crate::process::table;

const FINISHERS: &[&str] = &["finish", "finish-forced"];

/// The roles whose processes are supervisors, by the first argument that they run with.
const SUPERVISORS: &[&str] = &["stage0", "warden", "shim", "finish", "finish-forced"];

/// Whether `pid` supervises a run other than `own`.
pub fn is_other_supervisor(own: &RunId, pid: i32) -> bool {
    supervised(pid).is_some_and(|run| run != *own)
}

/// The same for one who belongs to no run.
pub fn is_supervisor(pid: i32) -> bool {
    supervised(pid).is_some()
}

/// The run that a process supervises, one whose life lock is busy. A recorded warden or shim must be the very process
/// of the record; a stage 0, or one that has published nothing yet lives for milliseconds.
fn supervised(pid: i32) -> Option<RunId> {
    let mut directory = served(pid, SUPERVISORS)?;
    let run = directory.run_id()?;
    if !directory.exists() {
        // Its run is over, and it frees what that has left.
        directory = directory.retired();
    }
    (directory.is_held() && is_recorded(&directory, pid)).then_some(run)
}

/// Whether `pid` was started by another finisher of `own`, as there may be where locks prove nothing: its git sits in
/// the worktree, and saves the same.
pub fn is_of_other_finisher(own: &RunId, pid: i32) -> bool {
    let mut line = successors(table::stat(pid), |process| table::stat(process.ppid));
    line.any(|process| {
        let finishes = || served(process.pid, FINISHERS)?.run_id();
        u32::try_from(process.pid) != Ok(std::process::id()) && finishes().as_ref() == Some(own)
    })
}

/// The directory of the run for which `pid` has one of these roles.
fn served(pid: i32, roles: &[&str]) -> Option<RunDir> {
    let arguments = table::arguments(pid);
    let words: Vec<_> = arguments.iter().filter(|word| !word.is_empty()).collect();
    let [_, role, .., directory] = words[..] else { return None };
    roles.iter().any(|name| role == name).then(|| RunDir::at(Path::new(directory)))
}

fn is_recorded(directory: &RunDir, pid: i32) -> bool {
    let (Some(supervisors), Some(process)) = (directory.supervisors(), table::stat(pid)) else {
        return true;
    };
    let mut recorded = supervisors.shim.iter().chain([&supervisors.warden]);
    let held =
        recorded.any(|identity| identity.pid == pid && identity.start_ticks == process.start_ticks);
    // A reaper has no place in the record, and a shim none before its first instructions.
    held || table::arguments(pid).get(1).is_some_and(|role| role != "warden")
}
