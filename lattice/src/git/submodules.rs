//! Repositories inside a worktree: a tree holds only the name of their commit, so whatever of them exists nowhere
//! else is a reason to keep the worktree.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::command;
use super::scene::Scene;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

const MODE: &[u8] = b"160000";

/// A submodule as the index has it.
pub(super) struct Link {
    path: PathBuf,
    commit: String,
}

impl Link {
    /// From the first fields of a line of `ls-files --stage`: `MODE OBJECT STAGE`.
    pub(super) fn parse(fields: &[u8], path: &Path) -> Option<Self> {
        let mut words = fields.split(|byte| *byte == b' ');
        if words.next()? != MODE {
            return None;
        }
        let commit = String::from_utf8(words.next()?.to_vec()).ok()?;
        Some(Self { path: path.to_owned(), commit })
    }
}

/// A veto for each link that is in `tree` and was not, or not so, in `base`.
pub(super) fn changed_links(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    base: &str,
    tree: &str,
) -> Result<Vec<String>> {
    if base == tree {
        return Ok(Vec::new());
    }
    let output = scene.ask(
        h,
        "cannot compare with the start",
        &["diff-tree", "-r", "-z", "--raw", base, tree],
    )?;
    let mut fields = output.split(|byte| *byte == 0);
    let mut vetoes = Vec::new();
    // `:OLDMODE NEWMODE OLD NEW STATUS`, then the path.
    while let (Some(change), Some(path)) = (fields.next(), fields.next()) {
        if change.split(|byte| *byte == b' ').nth(1) == Some(MODE) {
            let path = String::from_utf8_lossy(path);
            vetoes
                .push(format!("{path} is a repository of its own, and its commits are not saved"));
        }
    }
    Ok(vetoes)
}

/// A veto for each submodule with changes, or with commits that no remote has.
pub(super) fn unsaved(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    links: &[Link],
) -> Result<Vec<String>> {
    let mut git_dirs = Vec::new();
    if let Some(entry) = scene.entry {
        find_git_dirs(&entry.join("modules"), &mut git_dirs)?;
    }
    let mut vetoes = Vec::new();
    for link in links {
        let directory = scene.request.worktree.join(&link.path);
        let dot_git = directory.join(".git");
        if !dot_git.exists() {
            continue;
        }
        if dot_git.is_dir() {
            git_dirs.push(dot_git);
        }
        let mut git = command::git(&directory);
        git.args(["--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=all"]);
        git.arg("--ignore-submodules=none");
        let doing = format!("cannot look into the submodule {}", link.path.display());
        if !command::checked(h, git, None, &doing)?.is_empty() {
            vetoes.push(format!("the submodule {} has changes", link.path.display()));
        }
    }
    for git_dir in git_dirs {
        if has_own_commits(h, &git_dir, links)? {
            vetoes.push(format!(
                "the submodule repository {} has commits of its own",
                git_dir.display()
            ));
        }
    }
    Ok(vetoes)
}

/// Repositories of submodules, which may hold those of their own submodules in turn.
fn find_git_dirs(modules: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let children = match fs_err::read_dir(modules) {
        Ok(children) => children,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for child in children {
        let child = child?;
        if !child.file_type()?.is_dir() {
            continue;
        }
        let path = child.path();
        if path.join("HEAD").exists() && path.join("objects").is_dir() {
            find_git_dirs(&path.join("modules"), found)?;
            found.push(path);
        } else {
            // A submodule's name may have slashes.
            find_git_dirs(&path, found)?;
        }
    }
    Ok(())
}

/// Whether any ref or reflog leads to a commit that neither a remote, nor a tag, nor the superproject names.
fn has_own_commits(h: &mut dyn Helpers, git_dir: &Path, links: &[Link]) -> Result<bool> {
    let mut known = String::new();
    for link in links {
        writeln!(known, "^{}", link.commit).expect("writing to a string");
    }
    let mut git = command::git(git_dir);
    git.env("GIT_DIR", git_dir);
    git.args(["rev-list", "--max-count=1", "--ignore-missing", "--all", "--reflog", "--stdin"]);
    git.args(["--not", "--remotes", "--tags"]);
    let doing = format!("cannot look for commits in {}", git_dir.display());
    Ok(!command::checked(h, git, Some(known.into_bytes()), &doing)?.is_empty())
}
