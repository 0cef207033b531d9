//! The uncommitted state of a worktree as a tree: tracked and untracked files, with an index of our own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command;
use super::salvage::Points;
use super::scene::Scene;
use super::submodules::{self, Link};
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

pub(super) struct Changed {
    pub(super) tree: String,
    /// What the tree does not hold although it is there.
    pub(super) vetoes: Vec<String>,
}

/// Settings of the user, or of the worker, that would make `add` overlook or refuse something.
const ADD: &[&str] = &[
    "-c",
    "add.ignoreErrors=false",
    "-c",
    "core.safecrlf=false",
    "-c",
    "core.ignoreStat=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "core.splitIndex=false",
    "-c",
    "index.sparse=false",
    // One flush for all objects instead of one for each; the file system is synced as a whole in the end.
    "-c",
    "core.fsyncMethod=batch",
    "add",
    "--all",
];

pub(super) fn save(h: &mut dyn Helpers, scene: &Scene<'_>, points: &Points) -> Result<Changed> {
    scene.ask(h, "cannot read the tree of the run", &["read-tree", &points.head.name])?;
    if is_sparse(scene) {
        skip_what_is_not_checked_out(h, scene)?;
    }
    add_all(h, scene)?;
    add_staged(h, scene, points)?;
    let listing = scene.ask(h, "cannot list what was left", &["ls-files", "--stage", "-z"])?;
    let (links, embedded) = inspect(scene.request.worktree, &listing);
    let mut vetoes = Vec::new();
    if let Some(directory) = embedded {
        vetoes.push(format!("{} is a repository of its own", directory.display()));
    }
    vetoes.extend(submodules::unsaved(h, scene, &links)?);
    let tree = scene.ask(h, "cannot write the tree of what was left", &["write-tree"])?;
    Ok(Changed { tree: String::from_utf8_lossy(&tree).trim().to_owned(), vetoes })
}

fn is_sparse(scene: &Scene<'_>) -> bool {
    scene.entry.is_some_and(|entry| entry.join("info/sparse-checkout").exists())
}

/// In a sparse checkout a missing file is not a deleted one if the worker's index says that it was never there.
fn skip_what_is_not_checked_out(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<()> {
    let Some(index) = worker_index(scene) else { return Ok(()) };
    let mut git = scene.git();
    git.env("GIT_INDEX_FILE", index).args(["ls-files", "-t", "-z"]);
    let listing = command::checked(h, git, None, "cannot read the sparse checkout")?;
    let mut paths = Vec::new();
    for path in listing.split(|byte| *byte == 0).filter_map(|line| line.strip_prefix(b"S ")) {
        if fs_err::symlink_metadata(scene.request.worktree.join(OsStr::from_bytes(path))).is_err() {
            paths.extend(path);
            paths.push(0);
        }
    }
    let mut git = scene.git();
    git.args(["update-index", "--skip-worktree", "-z", "--stdin"]);
    command::checked(h, git, Some(paths), "cannot read the sparse checkout").map(drop)
}

fn worker_index(scene: &Scene<'_>) -> Option<PathBuf> {
    scene.entry.map(|entry| entry.join("index")).filter(|index| index.exists())
}

/// Ignored files stay out: they are the stated exception. What was carried in unchanged is not the worker's.
fn add_all(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<()> {
    let doing = "cannot save the changes";
    let mut git = scene.git();
    git.args(ADD);
    if is_sparse(scene) {
        git.arg("--sparse");
    }
    git.args(["--pathspec-from-file=-", "--pathspec-file-nul"]);
    let mut pathspecs = b":/".to_vec();
    for path in scene.request.exclude {
        pathspecs.extend(b"\0:(top,exclude,literal)");
        pathspecs.extend(path.as_os_str().as_bytes());
    }
    let output = command::run(h, git, Some(pathspecs), doing)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    // Git adds everything and then exits 1 if a path that it was told to leave out is ignored besides.
    let only_said_ignored =
        output.code == Some(1) && stderr.contains("ignored by one of your .gitignore files");
    if !output.success() && !only_said_ignored {
        return Err(command::refused(doing, &output));
    }
    // For a directory that it may not read git warns, leaves it out, and succeeds.
    match stderr.lines().find(|line| line.contains("could not open directory")) {
        Some(line) => {
            let why = line.trim_start_matches("warning: ");
            Err(Failure::new(Code::GitError, format!("{doing}: {why}")))
        }
        None => Ok(()),
    }
}

/// What the worker staged against an ignore rule (`add --force`) and did not commit. Only its own index tells.
fn add_staged(h: &mut dyn Helpers, scene: &Scene<'_>, points: &Points) -> Result<()> {
    let Some(index) = worker_index(scene) else { return Ok(()) };
    let mut git = scene.git();
    git.env("GIT_INDEX_FILE", index);
    git.args([
        "diff-index",
        "--cached",
        "--diff-filter=A",
        "--name-only",
        "-z",
        &points.head.name,
        "--",
    ]);
    let staged = command::checked(h, git, None, "cannot read what was staged")?;
    let mut paths = Vec::new();
    for path in staged.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        if is_savable(scene, Path::new(OsStr::from_bytes(path))) {
            paths.extend(path);
            paths.push(0);
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    let mut git = scene.git();
    git.args(["update-index", "--add", "--remove", "-z", "--stdin"]);
    command::checked(h, git, Some(paths), "cannot save what was staged").map(drop)
}

fn is_savable(scene: &Scene<'_>, path: &Path) -> bool {
    if scene.request.exclude.iter().any(|excluded| path.starts_with(excluded)) {
        return false;
    }
    let path = scene.request.worktree.join(path);
    fs_err::symlink_metadata(&path).is_ok_and(|meta| !meta.is_dir() || path.join(".git").exists())
}

/// The submodules in a listing of the index, and the first directory of tracked files that holds a repository:
/// git would pass over its `.git` without a word.
fn inspect(worktree: &Path, listing: &[u8]) -> (Vec<Link>, Option<PathBuf>) {
    let mut links = Vec::new();
    let mut directories = BTreeSet::new();
    for line in listing.split(|byte| *byte == 0) {
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { continue };
        let (fields, path) = (&line[..tab], Path::new(OsStr::from_bytes(&line[tab + 1..])));
        if let Some(link) = Link::parse(fields, path) {
            links.push(link);
        }
        for directory in path.ancestors().skip(1).filter(|directory| *directory != Path::new("")) {
            if !directories.insert(directory) {
                break;
            }
        }
    }
    let embedded =
        directories.into_iter().find(|directory| worktree.join(directory).join(".git").exists());
    (links, embedded.map(Path::to_owned))
}
