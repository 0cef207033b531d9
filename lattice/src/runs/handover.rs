//! Handing a run to `lattice-shim`: life lock as its stdin, a socket as its stdout, `ended` as its stderr.

use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::context::{COOKIE, Context};
use super::directory::{LifeLock, RunDir};
use crate::model::failure::{Code, Failure, Result};
use crate::process::channel::{self, Channel};
use crate::process::env::{self, CLEANERS};
use crate::process::spawn;

/// The version that both binaries must have.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The same for people, with the commit where the build knew it. Nothing is compared with it.
pub const VERSION_TEXT: &str = env!("LATTICE_VERSION_TEXT");

/// The first line that a warden says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub version: String,
    pub pid: i32,
    /// Why it cannot supervise anything, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The CLI's answers to it.
pub const GO: &str = "go";
pub const NO: &str = "no";

/// What the new supervisor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Run it, after the hand-shake.
    Warden,
    /// End it for supervisors that are dead.
    Finish,
    /// The same, although the proof of their death is missing: a person has said so.
    FinishForced,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Warden => "warden",
            Self::Finish => "finish",
            Self::FinishForced => "finish-forced",
        }
    }
}

/// Starts stage 0, which makes the supervisor nobody's child. The lock is the new process's alone as soon as this
/// returns: the `Command`, which holds a copy, is dropped before the channel is read, or its EOF would never come.
/// Nobody waits for stage 0: it may be stopped, and what counts is said on the channel.
///
/// `keep`: names that the definition keeps.
pub fn start(
    ctx: &Context,
    run: &RunDir,
    life: LifeLock,
    role: Role,
    keep: &[String],
) -> Result<(Channel, Child)> {
    let (ours, theirs) =
        channel::pair().map_err(|error| Failure::io("cannot make a socket pair", error))?;
    let mut command = stage0(ctx, run, life, role, theirs);
    for name in env::veiled(&ctx.caller_env, keep) {
        command.env_remove(name);
    }
    let stage0 = command.spawn().map_err(|error| {
        let message = format!("failed to start `{}`: {error}", ctx.shim.display());
        Failure::new(Code::SpawnError, message)
            .hint("install lattice-shim beside lattice, or name it in LATTICE_SHIM")
    })?;
    // With it goes the copy of the lock.
    drop(command);
    Ok((Channel::new(ours), stage0))
}

fn stage0(
    ctx: &Context,
    run: &RunDir,
    life: LifeLock,
    role: Role,
    socket: std::os::fd::OwnedFd,
) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = spawn::command(&ctx.shim);
    command.args(["stage0", role.name()]).arg(run.path());
    command
        .stdin(Stdio::from(life.lock))
        .stdout(Stdio::from(socket))
        .stderr(Stdio::from(life.ended));
    command.env_remove(COOKIE).process_group(0);
    for name in CLEANERS {
        command.env_remove(name);
    }
    command
}
