//! Bounded helper processes such as git, run by whoever has an event loop to wait in.

use std::io;
use std::process::Command;
use std::time::Duration;

/// What a helper left behind.
#[derive(Debug, Clone, Default)]
pub struct HelperOutput {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl HelperOutput {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs one helper to its end, at most for `limit`; a helper that is late gets TERM, then KILL, with its group.
pub trait Helpers {
    /// For hooks: what they print goes nowhere, what they leave behind in time is not marked as anybody's, and a late
    /// one ends with all that it has started.
    fn run_unheard(
        &mut self,
        command: Command,
        stdin: Vec<u8>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        self.run(command, Some(stdin), limit)
    }

    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput>;
}

/// A file without a name for what goes into a helper or comes out of it: in memory where the system can, so that
/// a full disk is no obstacle (memfd_create(2)).
#[cfg(target_os = "linux")]
pub fn scratch_file() -> io::Result<std::fs::File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("lattice", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

#[cfg(not(target_os = "linux"))]
pub fn scratch_file() -> io::Result<std::fs::File> {
    tempfile::tempfile()
}
