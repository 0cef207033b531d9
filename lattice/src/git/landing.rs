//! Bringing a tree and a commit into the checkout of the user: all of it, or nothing.
//!
//! The order is tree, branch, index. A crash in between leaves the new content, staged: nothing of the user's is lost.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::command;
use super::replay::Replayed;
use super::repository::Repository;
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

/// What git leaves in its directory while something is unfinished.
const UNFINISHED: &[(&str, &str)] = &[
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
];

/// Another git may hold the index for a moment.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Where the work is to go.
pub struct Checkout<'a> {
    pub repository: &'a Repository,
    /// What HEAD is.
    pub head: &'a str,
    /// Below the top: what no run may write.
    pub forbidden: &'a Path,
    /// For the reflog.
    pub reason: &'a str,
}

struct Change {
    path: PathBuf,
    is_new: bool,
}

/// Moves the checkout from its head to the replayed work. Paths that differ between the new tip and the tree are
/// given back: they are changes in the working tree now.
pub fn land(h: &mut dyn Helpers, checkout: &Checkout<'_>, work: &Replayed) -> Result<Vec<PathBuf>> {
    refuse_unfinished(checkout.repository)?;
    let changes = changes(h, checkout.repository, checkout.head, &work.tree)?;
    refuse_forbidden(checkout, &changes)?;
    refuse_collisions(h, checkout, &changes)?;
    let rest = changes_between(h, checkout.repository, &work.tip_tree, &work.tree)?;
    update_tree(h, checkout, &work.tree, &changes)?;
    if work.tip != checkout.head
        && let Err(failure) = move_head(h, checkout, &work.tip)
    {
        // Somebody has committed meanwhile; index and tree go back the way they came.
        read_tree(h, checkout.repository, &["-m", "-u", &work.tree, checkout.head])?;
        return Err(failure);
    }
    if work.tree != work.tip_tree {
        unstage(h, checkout.repository, work);
    }
    Ok(rest)
}

fn changes_between(
    h: &mut dyn Helpers,
    repository: &Repository,
    from: &str,
    to: &str,
) -> Result<Vec<PathBuf>> {
    Ok(changes(h, repository, from, to)?.into_iter().map(|change| change.path).collect())
}

/// `:OLDMODE NEWMODE OLD NEW STATUS`, then the path.
fn changes(
    h: &mut dyn Helpers,
    repository: &Repository,
    from: &str,
    to: &str,
) -> Result<Vec<Change>> {
    let mut git = command::git(&repository.top);
    git.args(["diff-tree", "-r", "-z", "--raw", "--no-renames", from, to, "--"]);
    let output = command::checked(h, git, None, "cannot compare with the current branch")?;
    let mut fields = output.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let is_new = head.starts_with(b":000000 ");
        changes.push(Change { path: PathBuf::from(OsStr::from_bytes(path)), is_new });
    }
    Ok(changes)
}

fn refuse_unfinished(repository: &Repository) -> Result<()> {
    let found = UNFINISHED.iter().find(|(name, _)| repository.git_dir.join(name).exists());
    let Some((_, what)) = found else { return Ok(()) };
    let message = format!("a {what} is under way in {}", repository.top.display());
    Err(Failure::new(Code::Conflict, message)
        .hint(format!("git {what} --continue, or git {what} --abort")))
}

fn refuse_forbidden(checkout: &Checkout<'_>, changes: &[Change]) -> Result<()> {
    let mut paths = changes.iter().map(|change| &change.path);
    match paths.find(|path| path.starts_with(checkout.forbidden)) {
        None => Ok(()),
        Some(path) => {
            let message =
                format!("the run changed {}, which only lattice itself writes", path.display());
            Err(Failure::new(Code::Conflict, message)
                .hint("look with `lattice worker diff RUN`, and take the rest by hand"))
        }
    }
}

/// Whatever is not as HEAD has it, and whatever git does not know, is the user's.
fn refuse_collisions(
    h: &mut dyn Helpers,
    checkout: &Checkout<'_>,
    changes: &[Change],
) -> Result<()> {
    let dirty = dirty(h, checkout.repository)?;
    let touched: BTreeSet<&Path> = changes.iter().map(|change| change.path.as_path()).collect();
    let collide = |change: &&Change| {
        dirty.contains(&change.path)
            || change.is_new && is_occupied(checkout.repository, &change.path, &touched)
    };
    let found: Vec<String> =
        changes.iter().filter(collide).map(|change| change.path.display().to_string()).collect();
    if found.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} {} changes that are not committed, and the run changed it too",
        found.join(", "),
        if found.len() == 1 { "has" } else { "have" },
    );
    Err(Failure::new(Code::Conflict, message)
        .hint("commit them, or put them aside with git stash --include-untracked")
        .detail("files", found))
}

/// A path that is to be made is there already, or something that is no directory stands in its way; unless that
/// is tracked and goes away with the same step.
fn is_occupied(repository: &Repository, path: &Path, touched: &BTreeSet<&Path>) -> bool {
    let full = repository.top.join(path);
    match fs_err::symlink_metadata(&full) {
        Ok(found) if found.is_dir() => {
            let goes = touched.iter().any(|other| *other != path && other.starts_with(path));
            !goes || holds_another(&repository.top, path, touched)
        }
        Ok(_) => true,
        Err(_) => path.ancestors().skip(1).any(|above| {
            let found = fs_err::symlink_metadata(repository.top.join(above));
            found.is_ok_and(|found| !found.is_dir()) && !touched.contains(above)
        }),
    }
}

/// Whether a directory that is to become a file holds something that stays. What cannot be listed does.
fn holds_another(top: &Path, directory: &Path, touched: &BTreeSet<&Path>) -> bool {
    let Ok(entries) = fs_err::read_dir(top.join(directory)) else { return true };
    entries.into_iter().any(|entry| {
        let Ok(entry) = entry else { return true };
        let below = directory.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => holds_another(top, &below, touched),
            _ => !touched.contains(below.as_path()),
        }
    })
}

/// Tracked paths with changes, staged or not.
fn dirty(h: &mut dyn Helpers, repository: &Repository) -> Result<BTreeSet<PathBuf>> {
    let mut git = command::git(&repository.top);
    git.args(["--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames"]);
    git.args(["--untracked-files=no", "--ignore-submodules=dirty"]);
    let output = command::checked(h, git, None, "cannot look for changes")?;
    let entries = output.split(|byte| *byte == 0).filter_map(|entry| entry.get(3..));
    Ok(entries.map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
}

/// Git looks at everything before it writes the first file, so a refusal has changed nothing. A failure on the way
/// (a full disk) has left the index as it was: what was written is taken back.
fn update_tree(
    h: &mut dyn Helpers,
    checkout: &Checkout<'_>,
    tree: &str,
    changes: &[Change],
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    refresh(h, checkout.repository);
    let Err(failure) = read_tree(h, checkout.repository, &["-m", "-u", checkout.head, tree]) else {
        return Ok(());
    };
    take_back(h, checkout.repository, changes).map_err(|second| {
        Failure::new(Code::GitError, format!("{failure}; and it could not be taken back: {second}"))
            .hint("look with git status, and restore with git checkout HEAD -- PATH")
    })?;
    Err(Failure::new(failure.code(), format!("{failure}; everything is as it was"))
        .hint("look at the room on the disk and at other gits, then try again"))
}

fn take_back(h: &mut dyn Helpers, repository: &Repository, changes: &[Change]) -> Result<()> {
    let mut paths = Vec::new();
    for change in changes {
        if change.is_new {
            remove_new(&repository.top, &change.path)?;
        } else {
            paths.extend(change.path.as_os_str().as_bytes());
            paths.push(0);
        }
    }
    let mut git = command::git(&repository.top);
    git.args(["checkout-index", "--force", "--quiet", "-z", "--stdin"]);
    command::checked(h, git, Some(paths), "cannot restore the files").map(drop)
}

/// The file, and the directories that were made for it.
fn remove_new(top: &Path, path: &Path) -> Result<()> {
    match fs_err::remove_file(top.join(path)) {
        Ok(()) => {}
        // Git had not come that far; a directory that was to become this file is still there.
        Err(error) if [ErrorKind::NotFound, ErrorKind::IsADirectory].contains(&error.kind()) => {
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        // One that holds something else stays.
        if fs_err::remove_dir(top.join(above)).is_err() {
            break;
        }
    }
    Ok(())
}

fn read_tree(h: &mut dyn Helpers, repository: &Repository, arguments: &[&str]) -> Result<()> {
    let mut git = command::git(&repository.top);
    git.arg("read-tree").args(arguments);
    command::checked(h, git, None, "cannot update the working tree").map(drop)
}

fn move_head(h: &mut dyn Helpers, checkout: &Checkout<'_>, tip: &str) -> Result<()> {
    let mut git = command::git(&checkout.repository.top);
    git.args(["update-ref", "-m", checkout.reason, "HEAD", tip, checkout.head]);
    command::checked(h, git, None, "cannot move the current branch").map(drop)
}

/// What the run had not committed is not staged either. Where the index stays locked, it is staged after all.
fn unstage(h: &mut dyn Helpers, repository: &Repository, work: &Replayed) {
    for _ in 0..ATTEMPTS {
        if read_tree(h, repository, &["-m", "-i", &work.tree, &work.tip_tree]).is_ok() {
            break;
        }
        thread::sleep(PAUSE);
    }
    refresh(h, repository);
}

/// Only what the index remembers of file times; git would else take a touched file for a changed one.
fn refresh(h: &mut dyn Helpers, repository: &Repository) {
    let mut git = command::git(&repository.top);
    git.args(["update-index", "-q", "--refresh"]);
    drop(command::run(h, git, None, "cannot refresh the index"));
}
