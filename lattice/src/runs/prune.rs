//! Removing what ended runs have left, once it is old: a plan first, then its execution, item by item.
//!
//! A run that is open anywhere, or has a directory, is not touched: its end is for supervisors and reapers.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ulid::Ulid;

use super::context::Context;
use super::directory::RunDir;
use super::history::{self, Known};
use super::listing;
use super::lost;
use super::pool;
use super::record;
use crate::git::refs::{self, RunRef};
use crate::git::repository::{self, Repository};
use crate::git::worktree::{self, Locked};
use crate::model::config::Workers;
use crate::model::failure::Result;
use crate::model::ids::RunId;
use crate::process::helper::Helpers;
use crate::storage::{delete, replace, task};

/// What is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Younger things of a run stay.
    pub keep: Duration,
    /// Whether refs go too.
    pub refs: bool,
}

/// One thing that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: &'static str,
    pub what: What,
    /// What the file system gets back, at most.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File(PathBuf),
    Tree(PathBuf),
    /// A worktree that the pool has no room for.
    Pooled(PathBuf),
    Worktree(Locked),
    Ref(RunRef),
}

/// In `logs/workers/`: a run's ID, and one of these.
const FILES: &[(&str, &str)] = &[("log", "log"), ("json", "record"), ("report", "report")];

pub fn plan(ctx: &Context, helpers: &mut dyn Helpers, rules: Rules) -> Result<Vec<Item>> {
    let repository = repository::discover(&ctx.layout.root).ok().flatten();
    let scene = Scene {
        ctx,
        rules,
        now: SystemTime::now(),
        runs: history::all(&ctx.layout)?,
        files: run_files(ctx)?,
        workers: task::read_config(&ctx.layout).unwrap_or_default().workers(),
    };
    let mut items = scene.old_files();
    items.extend(scene.garbage()?);
    if let Some(repository) = &repository {
        items.extend(scene.worktrees(repository)?);
        if rules.refs {
            items.extend(scene.refs(repository, helpers)?);
        }
    }
    Ok(items)
}

/// What is gone already was removed by somebody else, which is as good.
pub fn remove(ctx: &Context, helpers: &mut dyn Helpers, item: &Item) -> Result<()> {
    match &item.what {
        What::File(path) => Ok(ignore_missing(fs_err::remove_file(path))?),
        What::Tree(path) => Ok(ignore_missing(delete::delete_tree(path))?),
        What::Pooled(path) => Ok(pool::prune(path)?),
        What::Worktree(found) => Ok(remove_worktree(found)?),
        What::Ref(found) => refs::delete(helpers, &ctx.layout.root, found),
    }
}

/// In the order of the end sequence: what a kill leaves is `.trash-`, which anybody may delete.
fn remove_worktree(found: &Locked) -> io::Result<()> {
    let trash = delete::trash_name(&found.worktree);
    fs_err::rename(&found.worktree, &trash)?;
    found.worktree.parent().map_or(Ok(()), replace::sync_dir)?;
    worktree::remove_entry(&found.entry)?;
    ignore_missing(delete::delete_tree(&trash))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A file of a run.
struct Left {
    path: PathBuf,
    kind: &'static str,
    bytes: u64,
    written_at: SystemTime,
}

fn run_files(ctx: &Context) -> Result<BTreeMap<RunId, Vec<Left>>> {
    let mut files: BTreeMap<RunId, Vec<Left>> = BTreeMap::new();
    for (path, name) in children(&ctx.layout.worker_logs())? {
        let Some((stem, extension)) = name.rsplit_once('.') else { continue };
        let kind = FILES.iter().find(|(known, _)| *known == extension);
        let (Some((_, kind)), Some(run)) = (kind, RunId::parse(stem)) else { continue };
        let Ok(metadata) = fs_err::symlink_metadata(&path) else { continue };
        let written_at = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        files.entry(run).or_default().push(Left { path, kind, bytes: size(&metadata), written_at });
    }
    files.retain(|run, _| !record::is_newer(&ctx.layout, run));
    for left in files.values_mut() {
        left.sort_by(|one, other| one.path.cmp(&other.path));
    }
    Ok(files)
}

fn children(directory: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = match fs_err::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let named =
        |entry: fs_err::DirEntry| Some((entry.path(), entry.file_name().into_string().ok()?));
    Ok(entries.filter_map(|entry| named(entry.ok()?)).collect())
}

/// A log with a hole is smaller than it is long.
fn size(metadata: &std::fs::Metadata) -> u64 {
    metadata.len().min(metadata.blocks() * 512)
}

fn size_of_tree(path: &Path) -> u64 {
    let Ok(metadata) = fs_err::symlink_metadata(path) else { return 0 };
    if !metadata.is_dir() {
        return size(&metadata);
    }
    children(path).unwrap_or_default().iter().map(|(child, _)| size_of_tree(child)).sum()
}

struct Scene<'a> {
    ctx: &'a Context,
    rules: Rules,
    now: SystemTime,
    runs: BTreeMap<RunId, Known>,
    files: BTreeMap<RunId, Vec<Left>>,
    workers: Workers,
}

impl Scene<'_> {
    /// By the newest of its files; without one by the time in its ID.
    fn is_old(&self, run: &RunId) -> bool {
        let files = self.files.get(run).into_iter().flatten();
        let newest = files.map(|left| left.written_at).max();
        self.is_past(newest.unwrap_or_else(|| time_of(run)))
    }

    fn is_past(&self, time: SystemTime) -> bool {
        self.now.duration_since(time).unwrap_or_default() >= self.rules.keep
    }

    /// Open, or with a directory.
    fn is_under_way(&self, run: &RunId) -> bool {
        let is_open = self.runs.get(run).is_some_and(|known| !known.has_ended);
        is_open || fs_err::symlink_metadata(self.ctx.layout.run_dir(run)).is_ok()
    }

    fn old_files(&self) -> Vec<Item> {
        let old = self.files.iter().filter(|(run, _)| self.is_old(run) && !self.is_under_way(run));
        old.flat_map(|(run, files)| {
            // While no log holds the end of a run, its record is all that is known of it.
            let is_told = self.runs.contains_key(run);
            files.iter().filter(move |left| is_told || left.kind != "record")
        })
        .map(|left| Item {
            kind: left.kind,
            what: What::File(left.path.clone()),
            bytes: left.bytes,
        })
        .collect()
    }

    /// What says by its name that anybody may delete it, and what was set aside long ago.
    fn garbage(&self) -> Result<Vec<Item>> {
        let layout = &self.ctx.layout;
        let tree =
            |kind, path: PathBuf| Item { kind, bytes: size_of_tree(&path), what: What::Tree(path) };
        let mut items = Vec::new();
        // What a run that has ended a moment ago is freeing itself is not left over.
        let retired = listing::list(&layout.runs())?.retired.into_iter().map(RunDir::at);
        let (held, retired): (Vec<_>, Vec<_>) = retired.partition(RunDir::is_held);
        let going = held.iter().filter_map(|run| run.spec().ok()?.worktree_path);
        let going: Vec<_> = going.map(|path| delete::trash_name(&path)).collect();
        for root in self.worktree_roots() {
            let trash = listing::trash(&root)?.into_iter().filter(|path| !going.contains(path));
            items.extend(trash.map(|path| tree("trash", path)));
            let surplus = pool::surplus(&root, &self.workers.pool())?;
            items.extend(surplus.into_iter().map(|path| Item {
                kind: "pool",
                bytes: size_of_tree(&path),
                what: What::Pooled(path),
            }));
        }
        items.extend(retired.into_iter().map(|run| tree("trash", run.path().to_owned())));
        for (path, name) in children(&layout.runs())? {
            let aside = name.strip_prefix(".bad-").and_then(RunId::parse);
            if aside.is_some_and(|run| self.is_old(&run)) {
                items.push(tree("trash", path));
            }
        }
        Ok(items)
    }

    fn worktree_roots(&self) -> Vec<PathBuf> {
        let layout = &self.ctx.layout;
        let mut roots = vec![layout.worktrees()];
        roots.extend(self.workers.worktree_root.iter().map(|root| layout.root.join(root)));
        roots
    }

    /// Kept ones too: they were kept because not everything in them could be saved, and so only for a time.
    fn worktrees(&self, repository: &Repository) -> Result<Vec<Item>> {
        let roots =
            self.worktree_roots().into_iter().filter_map(|root| fs_err::canonicalize(root).ok());
        let roots: Vec<PathBuf> = roots.collect();
        let found = worktree::locked(&repository.common_dir)?.into_iter().filter(|found| {
            let parent =
                found.worktree.parent().and_then(|parent| fs_err::canonicalize(parent).ok());
            parent.is_some_and(|parent| roots.contains(&parent)) && self.is_left_over(found)
        });
        Ok(found
            .map(|found| {
                let bytes = size_of_tree(&found.worktree);
                Item { kind: "worktree", what: What::Worktree(found), bytes }
            })
            .collect())
    }

    fn is_left_over(&self, found: &Locked) -> bool {
        let word = found.reason.strip_prefix("lattice ").and_then(|rest| rest.split(' ').next());
        let Some(run) = word.and_then(RunId::parse) else { return false };
        let is_free = !matches!(delete::has_mount(&found.worktree), Ok(true) | Err(_));
        self.is_old(&run) && !self.is_under_way(&run) && !lost::is_alive(self.ctx, &run) && is_free
    }

    /// Of runs that are known here: two projects may share a repository.
    fn refs(&self, repository: &Repository, helpers: &mut dyn Helpers) -> Result<Vec<Item>> {
        let found = refs::list(helpers, &repository.top)?.into_iter().filter(|found| {
            let is_ours = self.runs.contains_key(&found.run) || self.files.contains_key(&found.run);
            is_ours && self.is_old(&found.run) && !self.is_under_way(&found.run)
        });
        Ok(found.map(|found| Item { kind: "ref", what: What::Ref(found), bytes: 0 }).collect())
    }
}

fn time_of(run: &RunId) -> SystemTime {
    let milliseconds = Ulid::from_string(run.ulid()).map_or(u64::MAX, |ulid| ulid.timestamp_ms());
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or_else(SystemTime::now)
}
