//! Starting a run again: its spec is all that it was, so nothing that was edited since changes it.

use std::time::SystemTime;

use super::context::Context;
use super::handover::{Caller, VERSION};
use super::place::{self, Place};
use super::preflight::{self, Checked};
use super::query::View;
use super::slots::Slots;
use super::start::{self, Started};
use super::{engine, reap, sandbox, secrets, specify, store, writable};
use crate::git::repository;
use crate::model::config::WhenFull;
use crate::model::definition;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::RunId;
use crate::model::run::{SPEC_VERSION, Spec};
use crate::model::time;
use crate::process::helper::Helpers;
use crate::process::inherit;
use crate::storage::task;

/// The same worker on the same task and commit, with the definition as it was then.
pub fn rerun(
    ctx: &Context,
    view: &View,
    when_full: Option<WhenFull>,
    awaited: bool,
    helpers: &mut dyn Helpers,
) -> Result<Started> {
    let Some(spec) = &view.spec else { return Err(forgotten(view)) };
    sandbox::refuse(ctx, None)?;
    reap::of_task(ctx, &spec.task_id, reap::PATIENCE)?;
    let mut checked = check(ctx, spec, helpers)?;
    checked.slots = checked.slots.chosen(ctx, when_full, awaited);
    if awaited {
        checked.caller = Caller::Stays;
    }
    start::launch(ctx, checked)
}

fn forgotten(view: &View) -> Failure {
    let message = format!("the record of {} is gone, and with it how it was run", view.run);
    let commit = view.started.data().get("commit_sha").and_then(|commit| commit.as_str());
    let commit = commit.unwrap_or("COMMIT");
    Failure::new(Code::NotFound, message)
        .hint(format!("lattice worker run {} {} --commit {commit}", view.worker, view.task))
}

fn check(ctx: &Context, old: &Spec, helpers: &mut dyn Helpers) -> Result<Checked> {
    preflight::refuse_deep(ctx)?;
    let (_, snapshot, is_archived) = task::read_task(&ctx.layout, &old.task_id)?;
    if is_archived {
        return Err(preflight::archived(snapshot.display_id()));
    }
    let mut notes = Vec::new();
    let place = find_place(ctx, old, helpers, &mut notes)?;
    let git = place.repository.as_ref().filter(|_| old.worktree_path.is_some());
    sandbox::refuse(ctx, git.map(|repository| repository.common_dir.as_path()))?;
    preflight::find_program(ctx, &old.argv[0], &place)?;
    if old.is_sandboxed() {
        writable::available(&old.worker)?;
    }
    notes.extend(changed_definition(ctx, old));
    let definition = definition::parse(old.definition_text.as_bytes()).ok();
    let template = match &definition {
        Some(definition) => engine::read_prompt(ctx, definition, &place, helpers, &mut notes)?,
        None if old.prompt_path.is_some() => return Err(without_definition(old)),
        None => None,
    };
    let mut spec = again(ctx, old, place)?;
    if let Some(definition) = &definition {
        // Prompt and command line speak of the run: of its ID, its worktree, its report.
        engine::complete(&mut spec, definition, &snapshot, template.as_deref())?;
    }
    let slots = Slots::now(&ctx.layout, &spec)?;
    Ok(Checked { spec, notes, once: false, slots, caller: Caller::Leaves })
}

fn without_definition(old: &Spec) -> Failure {
    let version = &old.lattice_version;
    let message =
        format!("the record of {} was written by {version}, which kept no prompt", old.run_id);
    Failure::new(Code::VersionMismatch, message)
        .hint(format!("lattice worker run {} {}", old.worker, old.task_id))
}

/// A worktree is made at the very commit, so it must still be there. In place there is only the present.
fn find_place(
    ctx: &Context,
    old: &Spec,
    helpers: &mut dyn Helpers,
    notes: &mut Vec<String>,
) -> Result<Place> {
    if old.worktree_path.is_some() {
        let repository = repository::discover(&ctx.layout.root)?.ok_or_else(|| {
            let message = format!("{} is in no git repository any more", ctx.layout.root.display());
            Failure::new(Code::GitError, message).hint("restore the repository")
        })?;
        let commit_sha = repository.preflight(helpers, &old.commit_sha, &[])?.commit_sha;
        return Ok(Place { repository: Some(repository), commit_sha });
    }
    let repository = repository::discover(&ctx.layout.root).ok().flatten();
    let head = repository.as_ref().map(|repository| repository.preflight(helpers, "HEAD", &[]));
    let commit_sha = match head {
        Some(Ok(found)) => found.commit_sha,
        _ => place::UNKNOWN.to_owned(),
    };
    if commit_sha != old.commit_sha {
        let short = |commit: &str| commit.get(..10).unwrap_or(commit).to_owned();
        notes.push(format!(
            "it works in place, and sees {} instead of {}",
            short(&commit_sha),
            short(&old.commit_sha)
        ));
    }
    Ok(Place { repository, commit_sha })
}

fn changed_definition(ctx: &Context, old: &Spec) -> Option<String> {
    let path = old.definition.path.display();
    match fs_err::read(ctx.layout.root.join(&old.definition.path)) {
        Ok(bytes) if specify::sha256(&bytes) == old.definition.sha256 => None,
        Ok(_) => Some(format!("{path} has changed since; this run does what it said then")),
        Err(_) => Some(format!("{path} is gone; this run does what it said then")),
    }
}

/// Everything but what belongs to one run, one caller and one machine.
fn again(ctx: &Context, old: &Spec, place: Place) -> Result<Spec> {
    let run_id = RunId::generate();
    let worktree_path = old.worktree_path.as_ref().map(|path| {
        // The project may have been moved.
        let path = match path.strip_prefix(&old.lattice_dir) {
            Ok(below) => ctx.layout.dir.join(below),
            Err(_) => path.clone(),
        };
        path.with_file_name(specify::worktree_name(&run_id))
    });
    let prefix =
        place.repository.as_ref().map(|repository| repository.prefix.clone()).unwrap_or_default();
    let root = ctx.layout.root.clone();
    Ok(Spec {
        version: SPEC_VERSION,
        lattice_version: VERSION.to_owned(),
        record: true,
        keep_worktree: false,
        project_root: root.clone(),
        lattice_dir: ctx.layout.dir.clone(),
        git_dir: place.repository.map(|repository| repository.common_dir),
        cwd: worktree_path.as_ref().map_or(root, |path| path.join(&prefix)),
        prefix,
        commit_sha: place.commit_sha,
        worktree_path,
        log_path: specify::log_path(&run_id),
        has_secrets: !secrets::of_environment(&ctx.caller_env).is_empty(),
        umask: inherit::current_umask(),
        depth: ctx.depth + 1,
        store: String::new(),
        host: store::host(),
        boot_id: store::boot_id(),
        file_system: store::file_system(&ctx.layout)?,
        started_at: time::timestamp(SystemTime::now()),
        run_id,
        ..old.clone()
    })
}
