//! The run's own checkout: added at the frozen commit, with what the definition copies and links into it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lattice::git::durable;
use lattice::git::repository::{self, Repository};
use lattice::git::worktree::{self, New};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::run::Spec;
use lattice::process::helper::Helpers;
use lattice::process::{identity, spawn};
use lattice::runs::pool::{self, Checkout, Pool};
use lattice::storage::owner;

use crate::engine_env;

const COPY_LIMIT: Duration = Duration::from_hours(1);

/// Makes the worktree of a run that wants one. The answer is what git has made, where that may go into the pool.
pub(crate) fn prepare(spec: &Spec, helpers: &mut dyn Helpers) -> Result<Option<Checkout>> {
    let Some(path) = &spec.worktree_path else { return Ok(None) };
    let repository = repository::discover(&spec.project_root)?.ok_or_else(|| {
        Failure::new(Code::WorktreeError, "the project is in no git repository any more")
    })?;
    if let Some(root) = path.parent() {
        // Mode 0700 by our umask.
        owner::make_dirs(root, 0o700)?;
    }
    let own = identity::own();
    let reason = format!(
        "lattice {} pid {} start {} boot {}",
        spec.run_id, own.pid, own.start_ticks, own.boot_id
    );
    let new = New { path, commit: &spec.commit_sha, reason: &reason };
    let checkout = check_out(spec, helpers, &repository, &new)?;
    // The next worktree may be that of the repository's owner.
    owner::inherit_repository(&repository.common_dir);
    // Before the engine begins: only what git can read after a loss of power can be saved then.
    durable::sync_entry(&repository.common_dir, path)?;
    if spec.submodules {
        worktree::add_submodules(helpers, path)?;
    }
    for below in &spec.copy {
        copy(&spec.project_root.join(below), &make_room(spec, below)?, helpers)?;
    }
    for below in &spec.include {
        complete(spec, below, helpers)?;
    }
    for below in &spec.link {
        fs_err::os::unix::fs::symlink(spec.project_root.join(below), make_room(spec, below)?)?;
    }
    Ok(checkout)
}

/// From the pool, or anew.
fn check_out(
    spec: &Spec,
    helpers: &mut dyn Helpers,
    repository: &Repository,
    new: &New<'_>,
) -> Result<Option<Checkout>> {
    // They change what git takes for attributes, and git does not say so.
    let is_told = engine_env::callers().iter().all(|(name, _)| !is_about_attributes(name));
    let Some(pool) = Pool::of(spec, helpers, repository).filter(|_| is_told) else {
        worktree::add(helpers, repository, new, &mut thread::sleep)?;
        return Ok(None);
    };
    if !pool::take(helpers, repository, new, &pool, &mut thread::sleep)? {
        worktree::add(helpers, repository, new, &mut thread::sleep)?;
    }
    let entry = worktree::entry(&repository.common_dir, new.path)?;
    let noted = entry.map(|entry| Checkout::note(pool, new.path, &entry, new.commit));
    // What could not be noted is thrown away in the end, as without a pool.
    Ok(noted.and_then(std::result::Result::ok))
}

fn is_about_attributes(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"GIT_ATTR_")
}

/// Copies what the commit has not: it is what the run is about. What has gone since the start is not missed.
fn complete(spec: &Spec, below: &Path, helpers: &mut dyn Helpers) -> Result<()> {
    let from = spec.project_root.join(below);
    let (Ok(there), here) =
        (fs_err::symlink_metadata(&from), fs_err::symlink_metadata(spec.cwd.join(below)))
    else {
        return Ok(());
    };
    match here {
        Err(_) => copy(&from, &make_room(spec, below)?, helpers),
        Ok(here) if here.is_dir() && there.is_dir() => {
            let mut children = fs_err::read_dir(&from)?;
            children.try_for_each(|child| complete(spec, &below.join(child?.file_name()), helpers))
        }
        Ok(_) => Ok(()),
    }
}

/// Makes the directories that a path needs. A link in the commit could lead out of the worktree: nothing is put
/// behind one.
fn make_room(spec: &Spec, below: &Path) -> Result<PathBuf> {
    let mut directory = spec.cwd.clone();
    for part in below.parent().into_iter().flatten() {
        directory.push(part);
        let found = fs_err::symlink_metadata(&directory);
        if found.is_ok_and(|found| found.is_symlink()) {
            let message = format!(
                "cannot put {} into the worktree: {} is a link there",
                below.display(),
                directory.display()
            );
            return Err(Failure::new(Code::WorktreeError, message));
        }
    }
    fs_err::create_dir_all(&directory)?;
    Ok(spec.cwd.join(below))
}

/// By cp(1): modes, times and links as they are, clones where the file system has them, and a stop is heard.
fn copy(from: &Path, to: &Path, helpers: &mut dyn Helpers) -> Result<()> {
    let mut cp = spawn::command("cp");
    cp.arg("-a").arg("--");
    // Into a directory that the commit has, and not below it.
    let into = to.is_dir() && !to.is_symlink() && from.is_dir();
    if into {
        cp.arg(from.join("."));
    } else {
        cp.arg(from);
    }
    cp.arg(to);
    let output = helpers.run(cp, None, COPY_LIMIT)?;
    if output.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    let message = format!(
        "cannot copy {}: {}",
        from.display(),
        why.lines().next().unwrap_or("it took too long")
    );
    Err(Failure::new(Code::WorktreeError, message))
}
