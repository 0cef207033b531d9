//! Where the processes of a sandboxed run may write.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::directory::RunDir;
use super::start::variable;
use super::surroundings;
use crate::git::worktree;
use crate::model::definition::{Definition, Sandbox};
use crate::model::engine::preset;
use crate::model::failure::{Code, Failure, Result};
use crate::model::run::{SandboxSpec, Spec};
use crate::process::{env, landlock};

/// What a definition asks for, if this machine can do it.
pub(super) fn wanted(
    ctx: &Context,
    definition: &Definition,
    notes: &mut Vec<String>,
) -> Result<Option<SandboxSpec>> {
    if definition.sandbox == Sandbox::None {
        return Ok(None);
    }
    let write: Vec<PathBuf> =
        definition.sandbox_write.iter().map(|path| found(ctx, path)).collect::<Result<_>>()?;
    state(ctx, definition, &write)?;
    let missing = match available(&definition.name) {
        Ok(()) => false,
        Err(failure) if definition.sandbox_required => return Err(failure),
        Err(failure) => {
            notes.push(format!("it runs without a sandbox: {}", failure.message()));
            true
        }
    };
    Ok(Some(SandboxSpec { write, missing }))
}

pub(super) fn available(worker: &str) -> Result<()> {
    landlock::check().map_err(|error| {
        let message = format!("{worker} wants a sandbox, and this kernel makes none: {error}");
        Failure::new(Code::SpawnError, message).hint(
            "use Linux 6.2 or later with Landlock, or set \"sandbox_required\": false to run it without",
        )
    })
}

/// An agent that cannot write what it keeps of itself ends at once, and with less to say. What is called in its place
/// may have arranged that.
fn state(ctx: &Context, definition: &Definition, write: &[PathBuf]) -> Result<()> {
    if definition.command.is_some() {
        return Ok(());
    }
    let env = env::engine_env(&ctx.caller_env, &surroundings::rules_of(definition), &[]);
    let value = |name: &str| {
        env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    };
    let preset = preset::preset(definition.engine);
    let is_covered = |place: &PathBuf| write.iter().any(|path| place.starts_with(path));
    let places = preset.state.iter().filter_map(|place| place.find(value));
    let places: Vec<String> = places
        .filter(|place| !is_covered(place))
        .map(|place| format!("\"{}\"", place.display()))
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let (name, places) = (preset.kind.name(), places.join(", "));
    let message = format!("{name} does not begin where it cannot write {places}");
    Err(Failure::new(Code::InvalidDefinition, message)
        .hint(format!("with \"sandbox_write\": [{places}] in the definition, and these made")))
}

/// `~` is the caller's home.
fn found(ctx: &Context, path: &Path) -> Result<PathBuf> {
    let whole = match path.strip_prefix("~") {
        Err(_) => ctx.layout.root.join(path),
        Ok(below) => {
            let home = variable(ctx, "HOME").filter(|home| !home.is_empty());
            PathBuf::from(home.unwrap_or_else(|| "/".into())).join(below)
        }
    };
    if fs_err::metadata(&whole).is_ok() {
        return Ok(whole);
    }
    let message = format!("the sandbox is to let it write {}, which is not there", path.display());
    Err(Failure::new(Code::InvalidDefinition, message)
        .hint("create it, or take it out of `sandbox_write` in the definition"))
}

/// Its worktree and its part of the run directory; for commits there git's objects, and what git keeps of this one
/// worktree, but no refs, configuration or hooks of the repository; and what its definition lists.
/// `None`: everywhere.
pub fn paths(spec: &Spec, run: &RunDir) -> Result<Option<Vec<PathBuf>>> {
    let Some(sandbox) = spec.sandbox.as_ref().filter(|sandbox| !sandbox.missing) else {
        return Ok(None);
    };
    let (Some(worktree), Some(common_dir)) = (&spec.worktree_path, &spec.git_dir) else {
        return Err(Failure::internal("a sandboxed run has no worktree"));
    };
    let entry = worktree::entry(common_dir, worktree)?.ok_or_else(|| {
        Failure::new(Code::WorktreeError, "git does not know the worktree any more")
    })?;
    let own = [worktree.clone(), run.work(), entry, common_dir.join("objects")];
    Ok(Some(own.into_iter().chain(sandbox.write.iter().cloned()).collect()))
}
