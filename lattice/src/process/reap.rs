//! Exits of our own children. Always by number, never "any child": a helper's status must reach its caller.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use serde::{Deserialize, Serialize};

use crate::model::outcome::Exit;

/// What a look at a child found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    Running,
    Exited(Exit),
    /// Not our child, or reaped before.
    Unknown,
}

/// Looks without reaping: the zombie keeps its number, and so its group's, out of use (waitid(2), WNOWAIT).
pub fn peek(pid: i32) -> Child {
    look(pid, WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)
}

/// Reaps the child if it has ended.
pub fn collect(pid: i32) -> Child {
    look(pid, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn look(pid: i32, options: WaitIdOptions) -> Child {
    let Some(pid) = Pid::from_raw(pid) else { return Child::Unknown };
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Ok(None) => return Child::Running,
            Ok(Some(status)) => return Child::Exited(exit(&status)),
            Err(Errno::INTR) => {}
            Err(_) => return Child::Unknown,
        }
    }
}

fn exit(status: &WaitIdStatus) -> Exit {
    Exit { code: status.exit_status(), signal: status.terminating_signal() }
}

/// `false` only on ECHILD: the one proof that a subreaper has nobody left below it.
pub fn have_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// Processor seconds and peak resident size of all children reaped so far (getrusage(2), RUSAGE_CHILDREN).
pub fn children_usage() -> io::Result<Usage> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Usage {
        cpu_seconds: microseconds as f64 / 1e6,
        max_rss_kb: usage.max_rss().cast_unsigned(),
    })
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub max_rss_kb: u64,
}
