//! The values of a definition that has been checked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A valid definition. Paths are relative to the project root and do not leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// 1 to 64 characters, no slash, no control character; matched without regard to case.
    pub name: String,
    pub description: String,
    /// Who the events of a run are by, unless the caller says otherwise: `prefix:name`.
    pub actor: String,
    pub engine: EngineKind,
    /// Always there for [`EngineKind::Script`].
    pub command: Option<CommandLine>,
    /// Work in a worktree of its own, frozen at a commit; else in the project root.
    pub worktree: bool,
    pub timeout: Duration,
    /// The longest silence.
    pub idle_timeout: Option<Duration>,
    /// From TERM to KILL; the project's, if it is not set here.
    pub grace: Option<Duration>,
    /// How long an engine that has told its result may take to exit.
    pub result_grace: Duration,
    /// Shell commands, run in the worktree before the engine.
    pub setup: Vec<String>,
    pub setup_timeout: Duration,
    /// Copied from the project into the worktree.
    pub copy: Vec<PathBuf>,
    /// Linked from the project into the worktree.
    pub link: Vec<PathBuf>,
    pub env: EnvRules,
    pub prompt_file: Option<PathBuf>,
    pub model: Option<String>,
    /// Further arguments of the command.
    pub args: Vec<String>,
    /// The role of the artifact that the report becomes. With it a report is a duty.
    pub artifact_role: Option<String>,
    /// What the title of that artifact begins with.
    pub report_prefix: Option<String>,
    pub report_dir: Option<PathBuf>,
    pub report_from: ReportFrom,
    pub on_changes: OnChanges,
    /// Whether the last lines of the log go into the event of a failure.
    pub log_tail: bool,
    pub limits: Limits,
    /// Added to the caller's niceness.
    pub nice: u8,
    pub sandbox: Sandbox,
    /// Where a sandboxed run may write besides: below the project, absolute, or in the home `~`.
    pub sandbox_write: Vec<PathBuf>,
    /// Rather no run than one without.
    pub sandbox_required: bool,
    /// Check submodules out too.
    pub submodules: bool,
}

/// What does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    Claude,
    Codex,
    Gemini,
    Opencode,
    Script,
}

impl EngineKind {
    pub const ALL: [Self; 5] =
        [Self::Claude, Self::Codex, Self::Gemini, Self::Opencode, Self::Script];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Script => "script",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// For `bash -c`.
    Shell(String),
    /// For `exec`; never empty.
    Argv(Vec<String>),
}

/// What the engine inherits; names may have one `*` for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvRules {
    pub keep: Vec<String>,
    pub drop: Vec<String>,
    pub set: BTreeMap<String, String>,
    pub inherit: bool,
}

impl Default for EnvRules {
    fn default() -> Self {
        Self { keep: Vec::new(), drop: Vec::new(), set: BTreeMap::new(), inherit: true }
    }
}

/// What a run may use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Of a longer log the beginning and the end are kept.
    pub log_bytes: u64,
    /// Mebibytes, for all processes of the engine together.
    pub memory_mb: Option<u64>,
    /// Of all of them together, threads counted.
    pub processes: Option<u64>,
    /// Processor time of all of them together.
    pub cpu: Option<Duration>,
    /// Of each process.
    pub open_files: Option<u64>,
    /// Mebibytes, for each file.
    pub file_size_mb: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            log_bytes: 1 << 30,
            memory_mb: None,
            processes: None,
            cpu: None,
            open_files: None,
            file_size_mb: None,
        }
    }
}

/// What the report of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFrom {
    /// What the engine writes to `$LATTICE_REPORT`.
    File,
    /// Its last message, unless it writes that file.
    FinalMessage,
}

/// Where a run may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Wherever its user may.
    None,
    /// In its worktree, and in what belongs to it.
    Worktree,
}

/// What becomes of commits and changes in the worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChanges {
    Keep,
    Discard,
}

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Such as `timeout_minutes` or `env.set`; `file` if it is not about one key.
    pub key: String,
    pub message: String,
}

impl Problem {
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}
