//! Where a run would work: at a commit in a worktree of its own, or in place.

use std::path::Path;

use super::context::Context;
use super::start::Request;
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
    request: &Request,
    definition: &Definition,
    helpers: &mut dyn Helpers,
) -> Result<Place> {
    let repository = match repository::discover(&ctx.layout.root) {
        Ok(repository) => repository,
        // In place nothing of git is needed, so nothing of it can be in the way.
        Err(_) if !definition.worktree && request.commit.is_none() => None,
        Err(failure) => return Err(failure),
    };
    if request.commit.is_some() && !definition.worktree {
        let message =
            format!("{} works in place, so there is no commit to choose", definition.name);
        return Err(Failure::new(Code::ValidationError, message)
            .hint("set \"worktree\": true in its definition"));
    }
    let needed = committed_files(definition);
    let Some(repository) = repository else {
        if definition.worktree {
            let message = format!(
                "{} needs a worktree, but {} is in no git repository",
                definition.name,
                ctx.layout.root.display()
            );
            return Err(
                Failure::new(Code::GitError, message).hint("git init && git add -A && git commit")
            );
        }
        need_here(ctx, &needed)?;
        return Ok(Place { repository: None, commit_sha: UNKNOWN.to_owned() });
    };
    let revision = request.commit.as_deref().unwrap_or("HEAD");
    if definition.worktree {
        let preflight = repository.preflight(helpers, revision, &needed)?;
        if let Some((path, _)) = needed.iter().zip(&preflight.objects).find(|(_, exists)| !**exists)
        {
            let short = preflight.commit_sha.get(..10).unwrap_or_default();
            let message = format!(
                "{} needs {}, which is not in commit {short}",
                definition.name,
                path.display()
            );
            return Err(Failure::new(Code::InvalidDefinition, message)
                .hint(format!("git add {0} && git commit {0}", path.display())));
        }
        return Ok(Place { repository: Some(repository), commit_sha: preflight.commit_sha });
    }
    need_here(ctx, &needed)?;
    let commit_sha = repository
        .preflight(helpers, revision, &[])
        .map_or_else(|_| UNKNOWN.to_owned(), |found| found.commit_sha);
    Ok(Place { repository: Some(repository), commit_sha })
}

/// Files of the project that the definition names.
fn committed_files(definition: &Definition) -> Vec<&Path> {
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

fn need_here(ctx: &Context, needed: &[&Path]) -> Result<()> {
    match needed.iter().find(|path| fs_err::metadata(ctx.layout.root.join(path)).is_err()) {
        None => Ok(()),
        Some(path) => {
            let message = format!("{} is not in {}", path.display(), ctx.layout.root.display());
            Err(Failure::new(Code::InvalidDefinition, message)
                .hint("create it, or correct the definition"))
        }
    }
}
