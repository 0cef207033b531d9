//! Where a run would work: at a commit in a worktree of its own, or in place.

use std::path::{Path, PathBuf};

use super::context::Context;
use crate::git::include;
use crate::git::repository::{self, Repository};
use crate::model::definition::{CommandLine, Definition};
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

/// Where the run works: a commit, and a repository unless there is none.
pub(super) struct Place {
    pub(super) repository: Option<Repository>,
    pub(super) commit_sha: String,
}

pub(super) const UNKNOWN: &str = "unknown";

pub(super) fn find(
    ctx: &Context,
    commit: Option<&str>,
    definition: &Definition,
    helpers: &mut dyn Helpers,
) -> Result<Place> {
    let (place, mut missing) = look(ctx, commit, definition, helpers)?;
    if missing.is_empty() { Ok(place) } else { Err(missing.swap_remove(0)) }
}

/// The place, and what is to be said of each file that the definition names and that is not there.
pub(super) fn look(
    ctx: &Context,
    commit: Option<&str>,
    definition: &Definition,
    helpers: &mut dyn Helpers,
) -> Result<(Place, Vec<Failure>)> {
    let repository = match repository::discover(&ctx.layout.root) {
        Ok(repository) => repository,
        // In place nothing of git is needed, so nothing of it can be in the way.
        Err(_) if !definition.worktree && commit.is_none() => None,
        Err(failure) => return Err(failure),
    };
    if commit.is_some() && !definition.worktree {
        let message =
            format!("{} works in place, so there is no commit to choose", definition.name);
        return Err(Failure::new(Code::ValidationError, message)
            .hint("set \"worktree\": true in its definition"));
    }
    let needed = needed_files(definition);
    let revision = commit.unwrap_or("HEAD");
    if !definition.worktree {
        // What is at HEAD then is a remark about the run, and costs no git where a file says it.
        let commit_sha = repository.as_ref().and_then(|repository| {
            let asked = || Some(repository.preflight(helpers, revision, &[]).ok()?.commit_sha);
            repository.head().or_else(asked)
        });
        let commit_sha = commit_sha.unwrap_or_else(|| UNKNOWN.to_owned());
        return Ok((Place { repository, commit_sha }, missing_here(ctx, &needed)));
    }
    let Some(repository) = repository else {
        let (name, root) = (&definition.name, ctx.layout.root.display());
        let message = format!("{name} needs a worktree, but {root} is in no git repository");
        return Err(
            Failure::new(Code::GitError, message).hint("git init && git add -A && git commit")
        );
    };
    let preflight = repository.preflight(helpers, revision, &needed)?;
    let absent = needed.iter().zip(&preflight.objects).filter(|(_, exists)| !**exists);
    let missing = absent.map(|(path, _)| not_committed(definition, path, &preflight.commit_sha));
    let missing = missing.collect();
    Ok((Place { repository: Some(repository), commit_sha: preflight.commit_sha }, missing))
}

fn not_committed(definition: &Definition, path: &Path, commit: &str) -> Failure {
    let short = commit.get(..10).unwrap_or_default();
    let message =
        format!("{} needs {}, which is not in commit {short}", definition.name, path.display());
    Failure::new(Code::InvalidDefinition, message)
        .hint(format!("git add {0} && git commit {0}", path.display()))
}

/// What `.worktreeinclude` adds to the worktree, beside what the definition copies and links itself.
pub(super) fn included(
    ctx: &Context,
    definition: &Definition,
    helpers: &mut dyn Helpers,
) -> Result<Vec<PathBuf>> {
    if !definition.worktree {
        return Ok(Vec::new());
    }
    let mut paths = include::selected(helpers, &ctx.layout.root)?;
    let named = || definition.copy.iter().chain(&definition.link);
    paths.retain(|path| !named().any(|own| path.starts_with(own) || own.starts_with(path)));
    Ok(paths)
}

/// Files of the project that the definition names.
fn needed_files(definition: &Definition) -> Vec<&Path> {
    let program = match &definition.command {
        Some(CommandLine::Argv(words)) => {
            words.first().map(Path::new).filter(|path| is_below_project(path))
        }
        _ => None,
    };
    program.into_iter().chain(definition.prompt_file.as_deref()).collect()
}

pub(super) fn is_below_project(program: &Path) -> bool {
    program.is_relative() && program.components().count() > 1
}

fn missing_here(ctx: &Context, needed: &[&Path]) -> Vec<Failure> {
    let absent = needed.iter().filter(|path| fs_err::metadata(ctx.layout.root.join(path)).is_err());
    let failure = |path: &&Path| {
        let message = format!("{} is not in {}", path.display(), ctx.layout.root.display());
        Failure::new(Code::InvalidDefinition, message).hint("create it, or correct the definition")
    };
    absent.map(failure).collect()
}
