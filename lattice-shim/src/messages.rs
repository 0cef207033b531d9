//! What the shim tells the warden, so that the warden knows the truth if the shim is killed.

use std::time::Duration;

use lattice::model::outcome::{Exit, Reason};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// If nothing new is heard for this long the shim is stuck, and this is why the run then ends.
    Patience { milliseconds: u64, then: Reason },
    /// What the gate is about to let go: a setup command, or the engine itself.
    Engine { pid: i32, setup: bool },
    /// The gate has let it go: what exits now is the program itself.
    Opened,
    /// Decided before the first signal is sent for it.
    Ending { reason: Reason, error: Option<String> },
    /// The engine's exit as it was seen, before it was reaped.
    Exited { exit: Exit },
    /// What runs beside all else and is no process of the engine; `None`: it has ended.
    Beside { pid: Option<i32> },
    /// Whether the main checkout had changes that the worktree did not see.
    Dirty { dirty: bool },
    /// The run is over; what follows only frees the disk.
    Over,
    /// Bytes of output that the disk did not take so far, to a factor of two.
    Lost { unwritten: u64 },
}

impl Message {
    pub(crate) fn patience(limit: Duration, then: Reason) -> Self {
        Self::Patience { milliseconds: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), then }
    }

    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("a message has only string keys")
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}
