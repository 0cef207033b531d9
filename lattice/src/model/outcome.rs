//! How a run ended: the reasons, and the terminal event that states them.

use serde::{Deserialize, Serialize};

/// Why a run ended, in the words of the terminal event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Exited,
    Signaled,
    TimedOut,
    Idle,
    Stopped,
    SpawnFailed,
    WorktreeFailed,
    SetupFailed,
    OomKilled,
    LogLimit,
    SupervisorKilled,
    SupervisorLost,
    MachineRebooted,
    MemoryLimit,
    EngineError,
    NoResult,
    DeliverableMissing,
    Internal,
    Reported,
}

/// Who wrote the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Shim,
    Warden,
    Reaper,
    Cli,
}
