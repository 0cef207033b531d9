//! A run on disk: what the CLI tells the supervisor (`spec.json`), who is who (`engine.json`, `supervisor.json`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ids::{RunId, TaskId};

/// The newest `spec.json` that this build writes and reads. A newer one is left alone and named.
pub const SPEC_VERSION: u32 = 1;

/// Everything that a supervisor needs, so that a later edit of the definition changes nothing.
/// No value of the caller's environment is in it: those travel through `exec` only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub version: u32,
    pub run_id: RunId,
    pub lattice_version: String,
    /// `false` for a debug run: every step of the end but the event and its hooks.
    pub record: bool,
    pub project_root: PathBuf,
    pub lattice_dir: PathBuf,
    /// The common git directory of the project; absent outside git.
    pub git_dir: Option<PathBuf>,
    /// The project root below the top of the working tree, `""` at the top.
    pub prefix: PathBuf,
    pub task_id: TaskId,
    pub short_id: Option<String>,
    pub worker: String,
    pub engine: String,
    pub definition: DefinitionRef,
    /// What was in it, so that the run can be run again. Empty in records of builds that did not keep it.
    #[serde(default)]
    pub definition_text: String,
    pub actor: String,
    /// 40 or 64 hexadecimal digits, or `unknown` without git.
    pub commit_sha: String,
    pub argv: Vec<String>,
    pub env_set: BTreeMap<String, String>,
    pub env_drop: Vec<String>,
    pub env_keep: Vec<String>,
    pub env_inherit: bool,
    /// The caller's environment holds secrets, which nobody knows but the two supervisors.
    #[serde(default = "unknown")]
    pub has_secrets: bool,
    pub cwd: PathBuf,
    pub worktree_path: Option<PathBuf>,
    /// Absent where each worktree is made anew and thrown away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolRules>,
    /// The file of the rendered prompt, in `work/`; also the engine's standard input where it takes it so.
    pub prompt_path: Option<PathBuf>,
    #[serde(default)]
    pub prompt_on_stdin: bool,
    /// The rendered prompt on its way into that file, and nowhere else.
    #[serde(skip)]
    pub prompt: Option<String>,
    pub report: Option<ReportSpec>,
    /// The engine's last message is the report, unless it writes one.
    #[serde(default)]
    pub report_from_message: bool,
    /// Where a copy of the report goes, below the project root.
    #[serde(default)]
    pub report_dir: Option<PathBuf>,
    pub timeout_ms: u64,
    pub idle_ms: Option<u64>,
    pub grace_ms: u64,
    /// How long an engine that has told its result may take to exit.
    #[serde(default = "result_grace_ms")]
    pub result_grace_ms: u64,
    /// Absent where a run may write whatever its user may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxSpec>,
    /// For all processes of the engine together.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "LimitsSpec::is_empty")]
    pub limits: LimitsSpec,
    /// Added to the caller's niceness.
    #[serde(default)]
    pub nice: u8,
    /// The control group that is made for it, where the kernel is to hold it to its limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_group: Option<PathBuf>,
    /// How long a stuck shim may be silent past its deadline before the warden takes over.
    pub end_limit_ms: u64,
    pub setup: Vec<String>,
    pub setup_timeout_ms: u64,
    pub copy: Vec<PathBuf>,
    /// What `.worktreeinclude` selects: copied where the commit has nothing of that name.
    #[serde(default)]
    pub include: Vec<PathBuf>,
    pub link: Vec<PathBuf>,
    #[serde(default)]
    pub submodules: bool,
    /// The worktree stays, whatever becomes of the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_worktree: bool,
    /// `on_changes: discard`: what the worker leaves behind is not saved.
    pub discard: bool,
    pub log_tail: bool,
    /// Relative to `lattice_dir`.
    pub log_path: PathBuf,
    /// Of a longer log the middle goes, in bytes. Runs of older versions have no limit.
    #[serde(default = "unlimited")]
    pub log_limit: u64,
    /// The caller's umask, given to the engine.
    pub umask: u32,
    pub depth: u32,
    pub store: String,
    pub host: String,
    pub boot_id: String,
    /// File system type of `lattice_dir`, such as `ext4` or `nfs`.
    pub file_system: String,
    pub started_at: String,
}

impl Spec {
    /// Whatever comes from the project into the worktree beside the commit.
    pub fn carried(&self) -> impl Iterator<Item = &PathBuf> {
        self.copy.iter().chain(&self.include).chain(&self.link)
    }

    pub fn is_sandboxed(&self) -> bool {
        self.sandbox.as_ref().is_some_and(|sandbox| !sandbox.missing)
    }
}

/// Builds that did not say it may have been given some.
fn unknown() -> bool {
    true
}

fn unlimited() -> u64 {
    u64::MAX
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRef {
    /// Relative to the project root.
    pub path: PathBuf,
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Where it may write beside what every run may.
    pub write: Vec<PathBuf>,
    /// The kernel makes none, and the definition does without.
    pub missing: bool,
}

impl SandboxSpec {
    /// As events say it.
    pub fn as_str(&self) -> &'static str {
        if self.missing { "unavailable" } else { "worktree" }
    }
}

/// What a run may use up, beside memory and its log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsSpec {
    /// Of all its processes together, threads counted.
    pub processes: Option<u64>,
    /// The same for their processor time.
    pub cpu_ms: Option<u64>,
    /// Of each of its processes.
    pub open_files: Option<u64>,
    pub file_size_bytes: Option<u64>,
}

impl LimitsSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How much a pool of worktrees may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRules {
    pub members: u64,
    pub max_age_ms: u64,
    /// On the disk, all of them together.
    pub max_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSpec {
    pub role: Option<String>,
    pub title: String,
}

/// Of runs that were begun by a build which did not know this.
fn result_grace_ms() -> u64 {
    15_000
}

/// A process, named so that a reused number is never taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    pub start_ticks: u64,
    pub boot_id: String,
    /// Inode of `/proc/PID/ns/pid`.
    pub pid_namespace: u64,
    pub pgid: i32,
}

/// `supervisor.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisors {
    pub warden: Identity,
    pub shim: Option<Identity>,
}

/// `engine.json`, written before the gate opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    // The five of `Identity`, flat on disk; by hand, because `serde(flatten)` and `arbitrary_precision` do not go
    // together.
    pub pid: i32,
    pub start_ticks: u64,
    pub boot_id: String,
    pub pid_namespace: u64,
    pub pgid: i32,
    /// Inode of the pipe that is the engine's stdout and stderr.
    pub pipe_inode: u64,
    pub deadline_at: String,
    /// The length of the log when the engine began: what stands before is of setup commands. `None` for those.
    #[serde(default)]
    pub output_from: Option<u64>,
}

impl Engine {
    pub fn new(identity: Identity, pipe_inode: u64, deadline_at: String) -> Self {
        let Identity { pid, start_ticks, boot_id, pid_namespace, pgid } = identity;
        Self {
            pid,
            start_ticks,
            boot_id,
            pid_namespace,
            pgid,
            pipe_inode,
            deadline_at,
            output_from: None,
        }
    }

    pub fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            start_ticks: self.start_ticks,
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace,
            pgid: self.pgid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `spec.json` of the first build that wrote version 1. Every later build reads it: a field that comes later
    /// has a default, or `SPEC_VERSION` is counted up.
    const FIRST: &str = r#"{
        "version": 1, "run_id": "ev_01ARZ3NDEKTSV4RRFFQ69G5FAV", "lattice_version": "0.1.0", "record": true,
        "project_root": "/p", "lattice_dir": "/p/.lattice", "git_dir": "/p/.git", "prefix": "",
        "task_id": "task_01ARZ3NDEKTSV4RRFFQ69G5FAV", "short_id": "LAT-1", "worker": "Check", "engine": "script",
        "definition": {"path": "workers/check.json", "sha256": "00"}, "actor": "agent:worker",
        "commit_sha": "unknown", "argv": ["true"], "env_set": {}, "env_drop": [], "env_keep": [],
        "env_inherit": true, "cwd": "/p", "worktree_path": null, "prompt_path": null, "report": null,
        "timeout_ms": 600000, "idle_ms": null, "grace_ms": 10000, "end_limit_ms": 300000, "setup": [],
        "setup_timeout_ms": 300000, "copy": [], "link": [], "discard": false, "log_tail": true,
        "log_path": "logs/workers/ev_01ARZ3NDEKTSV4RRFFQ69G5FAV.log", "umask": 18, "depth": 1, "store": "s",
        "host": "h", "boot_id": "b", "file_system": "ext4", "started_at": "2026-01-01T00:00:00Z"
    }"#;

    #[test]
    fn the_first_spec_can_still_be_read() {
        let spec: Spec = serde_json::from_str(FIRST).unwrap();
        assert_eq!((spec.version, spec.keep_worktree), (1, false));
        assert_eq!((spec.limits, spec.nice), (LimitsSpec::default(), 0));
    }

    #[test]
    fn what_a_later_build_adds_is_no_obstacle() {
        let later = FIRST.replacen('{', r#"{"added_later": {"by": "somebody"},"#, 1);
        let spec: Spec = serde_json::from_str(&later).unwrap();
        assert_eq!(spec, serde_json::from_str(FIRST).unwrap());
    }
}
