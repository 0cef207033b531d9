//! Callers that cannot start anything that lives on: an agent's own sandbox is torn down with the tool call that
//! runs in it. That is refused with the remedy, not recorded as a run.

use std::path::Path;

use rustix::fs::{Access, access};

use super::context::{Context, SANDBOXED};
use super::start::variable;
use crate::model::failure::{Code, Failure, Result};
use crate::process::table;

/// Programs that are process 1 of a sandbox's own pid namespace, and take everything with them when they end.
const INITS: &[&str] = &["bwrap", "codex", "codex-linux-sandbox", "codex-linux-san"];

const VARIABLES: &[&str] = &["CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"];

/// `common_dir`: the git directory that the run needs to write, if it needs one. No-new-privileges and seccomp
/// alone are an ordinary container and say nothing.
pub(super) fn refuse(ctx: &Context, common_dir: Option<&Path>) -> Result<()> {
    if variable(ctx, SANDBOXED).is_some() {
        return Err(sandboxed("the run that this is part of can write its own worktree only"));
    }
    if let Some(name) = VARIABLES.iter().find(|name| variable(ctx, name).is_some()) {
        return Err(sandboxed(&format!("{name} is set: this is a sandboxed tool call of Codex")));
    }
    if let Some(init) = table::command_name(1).filter(|name| INITS.contains(&name.as_str())) {
        return Err(sandboxed(&format!(
            "process 1 here is {init}, the init of an agent's sandbox"
        )));
    }
    match common_dir.filter(|path| access(*path, Access::WRITE_OK).is_err()) {
        Some(path) => Err(sandboxed(&format!("{} cannot be written to", path.display()))),
        None => Ok(()),
    }
}

fn sandboxed(why: &str) -> Failure {
    Failure::new(Code::Sandboxed, format!("nothing that is started here lives on: {why}"))
        .hint("start it from a hook of the agent, from outside, or with the sandbox lifted for this command")
}
