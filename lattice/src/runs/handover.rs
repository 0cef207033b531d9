//! Handing a run to `lattice-shim`: life lock as its stdin, a socket as its stdout, `ended` as its stderr.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::context::{COOKIE, Context};
use super::directory::{LifeLock, RunDir};
use crate::model::failure::{Code, Failure, Result};
use crate::process::channel::{self, Channel};
use crate::process::env::{self, CLEANERS};
use crate::process::spawn;
use crate::process::undisturbed::Undisturbed;

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

/// Whether a caller goes on beside the supervisor. An agent ends a call that takes too long with all that is below it,
/// by the numbers of parents: then the supervisor must be nobody's child from its first instruction on. Who leaves at once
/// makes it an orphan by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    Stays,
    Leaves,
}

/// The word behind the role of a supervisor that no stage 0 has started.
pub const FROM_CALLER: &str = "from-caller";

/// Starts the supervisor, through stage 0 if the caller stays. The lock is the new process's alone as soon as this
/// returns: the `Command`, which holds a copy, is dropped before the channel is read, or its EOF would never come.
/// Nobody waits for the process: it may be stopped, and what counts is said on the channel.
///
/// `keep`: names that the definition keeps.
pub fn start(
    ctx: &Context,
    run: &RunDir,
    life: LifeLock,
    (role, caller): (Role, Caller),
    keep: &[String],
) -> Result<(Channel, Child)> {
    let (ours, theirs) =
        channel::pair().map_err(|error| Failure::io("cannot make a socket pair", error))?;
    let mut command = supervisor(ctx, run, life, (role, caller), theirs);
    for name in env::veiled(&ctx.caller_env, keep) {
        command.env_remove(name);
    }
    // A mask survives exec: the terminal cannot take it away before it has left the caller's group.
    let undisturbed =
        Undisturbed::begin().map_err(|error| Failure::io("cannot block signals", error))?;
    let started = command.spawn();
    drop(undisturbed);
    let child = started.map_err(|error| {
        let message = format!("failed to start `{}`: {error}", ctx.shim.display());
        Failure::new(Code::SpawnError, message)
            .hint("install lattice-shim beside lattice, or name it in LATTICE_SHIM")
    })?;
    // With it goes the copy of the lock.
    drop(command);
    Ok((Channel::new(ours), child))
}

fn supervisor(
    ctx: &Context,
    run: &RunDir,
    life: LifeLock,
    (role, caller): (Role, Caller),
    socket: OwnedFd,
) -> Command {
    let mut command = spawn::command(&ctx.shim);
    match caller {
        Caller::Stays => command.args(["stage0", role.name()]),
        Caller::Leaves => command.args([role.name(), FROM_CALLER]),
    };
    command.arg(run.path());
    command
        .stdin(Stdio::from(life.lock))
        .stdout(Stdio::from(socket))
        .stderr(Stdio::from(life.ended));
    command.env_remove(COOKIE);
    for name in CLEANERS {
        command.env_remove(name);
    }
    command
}
