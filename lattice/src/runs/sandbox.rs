//! Callers that cannot start anything that lives on: an agent's own sandbox is torn down with the tool call that
//! runs in it. That is refused with the remedy, not recorded as a run.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;
use rustix::fs::{Access, access};
use rustix::io::Errno;

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
    let Some(path) = common_dir else { return Ok(()) };
    match access(path, Access::WRITE_OK) {
        Ok(()) => Ok(()),
        // Another user's repository is no sandbox.
        Err(error) if error == Errno::ACCESS && !is_ours(path) => Err(Failure::io(
            format_args!("failed to write to `{}`", path.display()),
            io::Error::from(error),
        )),
        Err(_) => Err(sandboxed(&format!("{} cannot be written to", path.display()))),
    }
}

fn is_ours(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|found| found.uid() == Uid::effective().as_raw())
}

fn sandboxed(why: &str) -> Failure {
    Failure::new(Code::Sandboxed, format!("nothing that is started here lives on: {why}"))
        .hint("start it from a hook of the agent, from outside, or with the sandbox lifted for this command")
}
