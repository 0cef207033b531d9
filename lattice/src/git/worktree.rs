//! Worktrees of runs and their administrative entries. Never prunes: what is not provably the run's stays.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command;
use super::plain;
use super::repository::Repository;
use super::writers;
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

/// How long an attempt is repeated while another git holds one of its lock files.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What git says when another git is in its way; all of it passes by itself.
const IN_THE_WAY: &[&str] = &[
    ".lock': File exists",
    "could not lock",
    "cannot lock ref",
    "could not create directory of",
    "commondir",
];

/// A worktree that is to be.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its name must be one that git keeps as it is (letters, digits, `-`, `_`), and new: the entry is later found
    /// by it.
    pub path: &'a Path,
    pub commit: &'a str,
    pub reason: &'a str,
}

/// Checks the commit out, detached and git-locked with the reason. `pause` waits between attempts.
///
///  Git takes its half-made worktree back when it fails or gets TERM; after KILL the entry and the directory are
/// left, both under that name.
pub fn add(
    h: &mut dyn Helpers,
    repo: &Repository,
    new: &New<'_>,
    pause: &mut dyn FnMut(Duration),
) -> Result<()> {
    let writers = writers::settings(h, repo, new.path)?;
    add_with(h, repo, new, &writers, &[], pause)
}

/// The same, but of the files nothing is there yet.
pub fn add_empty(
    h: &mut dyn Helpers,
    repo: &Repository,
    new: &New<'_>,
    pause: &mut dyn FnMut(Duration),
) -> Result<()> {
    add_with(h, repo, new, &[], &["--no-checkout"], pause)
}

/// Brings files and index, which are exactly those of `from`, to another commit, on which the worktree stands: what
/// is the same in both is not looked at. In the end all is as [`add`] leaves it.
pub fn go_on(
    h: &mut dyn Helpers,
    repo: &Repository,
    path: &Path,
    from: &str,
    to: &str,
) -> Result<()> {
    let doing = format!("cannot check out {}", path.display());
    if from != to {
        let mut git = command::git(path);
        git.args(writers::settings(h, repo, path)?);
        git.args(["read-tree", "-m", "-u", "--no-recurse-submodules", from, to]);
        command::checked(h, git, None, &doing)?;
    }
    // `git reset` is the last step of `git worktree add`, and notes where it began.
    let mut git = command::git(path);
    git.args(["update-ref", "ORIG_HEAD", to]);
    command::checked(h, git, None, &doing).map(drop)
}

fn add_with(
    h: &mut dyn Helpers,
    repo: &Repository,
    new: &New<'_>,
    settings: &[String],
    options: &[&str],
    pause: &mut dyn FnMut(Duration),
) -> Result<()> {
    let doing = format!("cannot make the worktree {}", new.path.display());
    let mut waited = Duration::ZERO;
    let mut next = FIRST_PAUSE;
    loop {
        let mut git = command::git(&repo.top);
        git.args(settings)
            .args(["worktree", "add", "--quiet", "--detach", "--lock", "--reason", new.reason])
            .args(options)
            .arg(new.path)
            .arg(new.commit);
        let output = command::run(h, git, None, &doing)?;
        if output.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        if waited >= PATIENCE || !IN_THE_WAY.iter().any(|words| stderr.contains(words)) {
            return Err(worktree_failure(&command::refused(&doing, &output)));
        }
        let jittered = jitter(next);
        pause(jittered);
        waited += jittered;
        next = (next * 2).min(LONGEST_PAUSE);
    }
}

/// Checks out the submodules of a worktree, and theirs.
pub fn add_submodules(h: &mut dyn Helpers, path: &Path) -> Result<(), Failure> {
    let mut git = command::git(path);
    git.args(["submodule", "update", "--quiet", "--init", "--recursive"]);
    let doing = format!("cannot check out the submodules of {}", path.display());
    command::checked(h, git, None, &doing).map(drop).map_err(|failure| worktree_failure(&failure))
}

fn worktree_failure(failure: &Failure) -> Failure {
    let renamed = Failure::new(Code::WorktreeError, failure.message());
    match failure.hint_text() {
        Some(hint) => renamed.hint(hint),
        None => renamed,
    }
}

/// Between half and one and a half times as long, so that runs started together do not collide again.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(pause) % 1000;
    pause / 2 + pause * u32::try_from(random).expect("less than 1000") / 1000
}

/// The administrative entry of `worktree`, whole or half-made.
///
/// An entry is the worktree's if it bears its name and its `gitdir` names its path. A `gitdir` that is missing or
/// empty (a git killed on the way, a power loss) leaves the name, which no other worktree has. What cannot be looked
/// at may be there: an error is no "no".
pub fn entry(common_dir: &Path, worktree: &Path) -> io::Result<Option<PathBuf>> {
    let Some(name) = worktree.file_name() else { return Ok(None) };
    let entry = common_dir.join("worktrees").join(name);
    if !is(&entry, Metadata::is_dir)?.unwrap_or(false) {
        return Ok(None);
    }
    match is(&entry.join("gitdir"), Metadata::is_file)? {
        None => return Ok(Some(entry)),
        Some(false) => return Ok(None),
        Some(true) => {}
    }
    let content = plain::read(&entry.join("gitdir"))?;
    let target = content.trim_ascii();
    if target.iter().all(|byte| *byte == 0) {
        return Ok(Some(entry));
    }
    // Git writes an absolute path, or with `worktree.useRelativePaths` one from the entry.
    let target = entry.join(OsStr::from_bytes(target));
    Ok(same_place(&target, &worktree.join(".git")).then_some(entry))
}

/// `None`: nothing is there.
fn is(path: &Path, kind: fn(&Metadata) -> bool) -> io::Result<Option<bool>> {
    match fs_err::symlink_metadata(path) {
        Ok(found) => Ok(Some(kind(&found))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether two paths of the form `DIRECTORY/NAME/.git` mean one place, though `NAME` may be gone already.
fn same_place(one: &Path, other: &Path) -> bool {
    one == other || resolved(one).is_some_and(|path| resolved(other) == Some(path))
}

fn resolved(dot_git: &Path) -> Option<PathBuf> {
    let worktree = dot_git.parent()?;
    let above = fs_err::canonicalize(worktree.parent()?).ok()?;
    Some(above.join(worktree.file_name()?).join(dot_git.file_name()?))
}

/// Locks an entry, as `git worktree lock --reason` does; a lock that is there gets the new reason.
/// A crash on the way leaves a lock without a reason.
pub fn lock(entry: &Path, reason: &str) -> io::Result<()> {
    fs_err::write(entry.join("locked"), format!("{}\n", reason.trim_end()))
}

/// An entry that is git-locked, and the worktree that it and no other belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    pub entry: PathBuf,
    pub worktree: PathBuf,
    pub reason: String,
}

/// The locked worktrees whose `.git` file and whose entry's `gitdir` point at each other.
pub fn locked(common_dir: &Path) -> io::Result<Vec<Locked>> {
    let entries = match fs_err::read_dir(common_dir.join("worktrees")) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: Vec<Locked> =
        entries.iter().filter_map(|child| locked_pair(&child.path())).collect();
    found.sort_by(|one, other| one.entry.cmp(&other.entry));
    Ok(found)
}

fn locked_pair(entry: &Path) -> Option<Locked> {
    let reason = fs_err::read_to_string(entry.join("locked")).ok()?;
    let gitdir = fs_err::read(entry.join("gitdir")).ok()?;
    let dot_git = entry.join(OsStr::from_bytes(gitdir.trim_ascii()));
    let worktree = dot_git.parent()?.to_owned();
    // The engine could have put anything there.
    let back = plain::read(&dot_git).ok()?;
    let back = back.trim_ascii_end().strip_prefix(b"gitdir: ")?;
    let back = fs_err::canonicalize(worktree.join(OsStr::from_bytes(back))).ok()?;
    let is_pair = back == fs_err::canonicalize(entry).ok()?;
    let (entry, reason) = (entry.to_owned(), reason.trim_end().to_owned());
    is_pair.then_some(Locked { entry, worktree, reason })
}

/// Removes an entry that [`entry`] found.
///
/// The order keeps the entry ours to the end. First goes what nobody identifies it by, then `gitdir`, then the lock
/// that keeps other gits from pruning it under our hands. A crash leaves an entry that is whole, or half-made and
/// still bears the name: [`entry`] finds either, and the next call removes it.
pub fn remove_entry(entry: &Path) -> io::Result<()> {
    if entry.parent().and_then(Path::file_name) != Some(OsStr::new("worktrees")) {
        let message = format!("{} is not an entry below `worktrees`", entry.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let children = match fs_err::read_dir(entry) {
        Ok(children) => children.collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for child in children {
        let name = child.file_name();
        if name != "gitdir" && name != "locked" {
            remove(&child.path())?;
        }
    }
    remove(&entry.join("gitdir"))?;
    remove(&entry.join("locked"))?;
    // `worktrees` itself stays even when empty: a `git worktree add` may be making its own entry in it right now.
    ignore_missing(fs_err::remove_dir(entry))
}

fn remove(path: &Path) -> io::Result<()> {
    let is_dir = fs_err::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    ignore_missing(if is_dir { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) })
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
