//! Stage 0: a fresh exec with one thread that leaves behind what it inherited, starts the supervisor and exits.
//!
//! That is the double fork: the supervisor is nobody's child, even while its caller goes on. One whose caller leaves at once
//! needs no stage 0, and leaves that behind by itself.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::{cgroup, inherit, spawn};

/// First of all, by whoever the caller has started.
pub(crate) fn leave_caller() -> Result<()> {
    inherit::block_signals()?;
    inherit::close_leaked_descriptors();
    inherit::default_dispositions_at_exec();
    cgroup::leave();
    Ok(())
}

#[inline(never)]
pub(crate) fn run(role: &OsStr, directory: &Path) -> Result<()> {
    leave_caller()?;
    let handed = inherit::take_standard_streams()?;
    let mut command = spawn::own_role(role);
    command.arg(directory);
    command
        .stdin(Stdio::from(handed.stdin))
        .stdout(Stdio::from(handed.stdout))
        .stderr(Stdio::from(handed.stderr));
    let started = command.spawn();
    started.map(drop).map_err(|error| {
        Failure::new(Code::SpawnError, format!("failed to start a supervisor: {error}"))
    })
}
