//! What a refused or failed operation says: a code for programs, a sentence for people, and what to type next.

use std::fmt;
use std::io;

use serde_json::{Map, Value};

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// One failure. The code alone picks the exit status; the hint is a command or an edit, never a restatement.
#[derive(Debug)]
pub struct Failure {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    message: String,
    hint: Option<String>,
    details: Map<String, Value>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let inner = Inner { code, message: message.into(), hint: None, details: Map::new() };
        Self { inner: Box::new(inner) }
    }

    /// An I/O failure with the operation that was tried, for calls whose own error names no path.
    pub fn io(doing: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::new(Code::IoError, format!("{doing}: {error}"))
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    /// A further key of the JSON error object, beside `code` and `message`.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.inner.details.insert(key.to_owned(), value.into());
        self
    }

    pub fn code(&self) -> Code {
        self.inner.code
    }

    pub fn message(&self) -> &str {
        &self.inner.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    pub fn details(&self) -> &Map<String, Value> {
        &self.inner.details
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Code::IoError, error.to_string())
    }
}

/// The error codes of the JSON contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    NotInitialized,
    NotFound,
    InvalidId,
    InvalidActor,
    MissingActor,
    InvalidRole,
    ValidationError,
    Conflict,
    InvalidTransition,
    ReviewCycleLimit,
    CompletionBlocked,
    PlanRequired,
    AlreadyClaimed,
    AlreadyRunning,
    LockTimeout,
    StillRunning,
    RunFailed,
    InvalidDefinition,
    GitError,
    WorktreeError,
    SpawnError,
    AmbiguousRun,
    NotSupervised,
    VersionMismatch,
    NestingLimit,
    Sandboxed,
    Usage,
    RebuildError,
    IoError,
    Interrupted,
    Internal,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInitialized => "NOT_INITIALIZED",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidId => "INVALID_ID",
            Self::InvalidActor => "INVALID_ACTOR",
            Self::MissingActor => "MISSING_ACTOR",
            Self::InvalidRole => "INVALID_ROLE",
            Self::ValidationError => "VALIDATION_ERROR",
            Self::Conflict => "CONFLICT",
            Self::InvalidTransition => "INVALID_TRANSITION",
            Self::ReviewCycleLimit => "REVIEW_CYCLE_LIMIT",
            Self::CompletionBlocked => "COMPLETION_BLOCKED",
            Self::PlanRequired => "PLAN_REQUIRED",
            Self::AlreadyClaimed => "ALREADY_CLAIMED",
            Self::AlreadyRunning => "ALREADY_RUNNING",
            Self::LockTimeout => "LOCK_TIMEOUT",
            Self::StillRunning => "STILL_RUNNING",
            Self::RunFailed => "RUN_FAILED",
            Self::InvalidDefinition => "INVALID_DEFINITION",
            Self::GitError => "GIT_ERROR",
            Self::WorktreeError => "WORKTREE_ERROR",
            Self::SpawnError => "SPAWN_ERROR",
            Self::AmbiguousRun => "AMBIGUOUS_RUN",
            Self::NotSupervised => "NOT_SUPERVISED",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::NestingLimit => "NESTING_LIMIT",
            Self::Sandboxed => "SANDBOXED",
            Self::Usage => "USAGE",
            Self::RebuildError => "REBUILD_ERROR",
            Self::IoError => "IO_ERROR",
            Self::Interrupted => "INTERRUPTED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The process exit status: 1 refused or failed, 2 usage, 3 busy, 4 the awaited run did not complete,
    /// 70 a bug of ours (`EX_SOFTWARE` of sysexits.h), 130 interrupted (128 + SIGINT).
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::AlreadyRunning | Self::LockTimeout | Self::StillRunning => 3,
            Self::RunFailed => 4,
            Self::Internal => 70,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
