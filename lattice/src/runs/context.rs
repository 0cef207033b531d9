//! What a caller is: which project it speaks of, where the supervisor's program is, and which run it sits in.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::ids::RunId;
use crate::storage::layout::Layout;

#[derive(Debug, Clone)]
pub struct Context {
    pub layout: Layout,
    /// `lattice-shim`.
    pub shim: PathBuf,
    pub caller_env: Vec<(OsString, OsString)>,
    /// The run that the caller is part of, which it never reaps and never waits for.
    pub own_run: Option<RunId>,
    /// How many runs the caller is nested in.
    pub depth: u32,
}

/// The environment variable that names a run's processes.
pub const COOKIE: &str = "LATTICE_STARTED_EVENT_ID";
/// Set where the kernel keeps a run and all that it starts from writing outside of its worktree.
pub const SANDBOXED: &str = "LATTICE_SANDBOX";

pub const DEPTH: &str = "LATTICE_DEPTH";

/// The cookie as it stands in a process's environment.
pub fn cookie(run: &RunId) -> String {
    format!("{COOKIE}={run}")
}
