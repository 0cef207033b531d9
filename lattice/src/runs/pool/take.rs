//! A member becomes the worktree of a run: git makes the entry, the tree moves in, git brings it to the commit.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::facts::{Facts, Origin, attributes};
use super::member::{self, Member};
use super::place::Place;
use super::survey;
use super::tree::different;
use crate::git::conversion;
use crate::git::index::Index;
use crate::git::repository::Repository;
use crate::git::worktree::{self, New};
use crate::model::failure::{Failure, Result};
use crate::model::run::{PoolRules, Spec};
use crate::process::helper::Helpers;

/// The pool as one run may use it.
#[derive(Debug, Clone)]
pub struct Pool {
    pub(super) rules: PoolRules,
    pub(super) origin: Origin,
    pub(super) has_filters: bool,
}

impl Pool {
    /// `None`: there is none for this run, or what its checkout depends on cannot be told.
    pub fn of(spec: &Spec, h: &mut dyn Helpers, repo: &Repository) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let rules = spec.pool.filter(|_| !spec.submodules)?;
        let conversion = conversion::of(h, repo).ok()??;
        let repository = fs_err::metadata(&repo.common_dir).ok()?;
        let origin = Origin {
            conversion: conversion.fingerprint,
            umask: spec.umask,
            repository: (repository.dev(), repository.ino()),
        };
        Some(Self { rules, origin, has_filters: conversion.has_filters })
    }
}

/// Whether the worktree is there. If not, nothing of it is, and it has to be made anew.
pub fn take(
    h: &mut dyn Helpers,
    repo: &Repository,
    new: &New<'_>,
    pool: &Pool,
    pause: &mut dyn FnMut(Duration),
) -> Result<bool> {
    let Some((member, facts)) = find(new.path, pool) else { return Ok(false) };
    // From here on a kill leaves a tree that nobody takes, and an entry and a path that are the run's own.
    member.claim()?;
    worktree::add_empty(h, repo, new, pause)?;
    let moved = move_in(h, repo, new, &member, &facts).is_ok();
    if moved {
        // What cannot be deleted now is garbage for whoever gets its lock.
        drop(member.delete());
    } else {
        give_up(repo, new.path, &member)?;
    }
    Ok(moved)
}

fn find(path: &Path, pool: &Pool) -> Option<(Member, Facts)> {
    let fits = |facts: &Facts| facts.is_usable(&pool.rules) && facts.origin == pool.origin;
    member::all(path.parent()?).ok()?.into_iter().find_map(|path| {
        let member = Member::hold(path).ok()??;
        let facts = member.facts().filter(fits)?;
        Some((member, facts))
    })
}

fn move_in(
    h: &mut dyn Helpers,
    repo: &Repository,
    new: &New<'_>,
    member: &Member,
    facts: &Facts,
) -> Result<()> {
    let (path, tree) = (new.path, member.tree());
    let entry = worktree::entry(&repo.common_dir, path)?
        .ok_or_else(|| Failure::internal("git has made a worktree without an entry"))?;
    if Place::of(fs_err::File::open(path)?)? != facts.place {
        return Err(different(path).into());
    }
    survey::order(h, member, &facts.place, &facts.commit)?;
    fs_err::rename(path.join(".git"), tree.join(".git"))?;
    fs_err::remove_dir(path)?;
    fs_err::rename(&tree, path)?;
    fs_err::copy(member.index(), entry.join("index"))?;
    worktree::go_on(h, repo, path, &facts.commit, new.commit)?;
    if facts.commit == new.commit {
        return Ok(());
    }
    let filled = Index::parse(fs_err::read(entry.join("index"))?, new.commit.len() / 2);
    if filled.is_none_or(|filled| attributes(&filled) != facts.attributes) {
        // Files that are the same in both commits may be written in another way.
        return Err(different(path).into());
    }
    Ok(())
}

/// Back to where no worktree is; what there was of it goes with the member.
fn give_up(repo: &Repository, path: &Path, member: &Member) -> io::Result<()> {
    match fs_err::rename(path, member.path().join("spoiled")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match worktree::entry(&repo.common_dir, path)? {
        Some(entry) => worktree::remove_entry(&entry),
        None => Ok(()),
    }
}
