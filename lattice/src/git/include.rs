//! `.worktreeinclude`, a file of patterns as in gitignore(5): what it selects among the files that git ignores is
//! what a fresh worktree lacks and its work needs. Other tools for worktrees read the same file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::command;
use crate::model::failure::{Code, Failure, Result};
use crate::process::helper::Helpers;

pub const FILE: &str = ".worktreeinclude";

/// More is a mistake in the patterns: a directory that is selected as a whole counts once.
const MOST: usize = 1000;

/// Paths below `root`, relative to it, directories without what is in them; none without that file. Repositories
/// inside, and Lattice's own files, are not among them.
pub fn selected(h: &mut dyn Helpers, root: &Path) -> Result<Vec<PathBuf>> {
    if !root.join(FILE).is_file() {
        return Ok(Vec::new());
    }
    // A directory that is selected as a whole is one answer, however much is in it.
    let whole = listed(h, root, &["--directory"])?;
    let mut chosen = ignored(h, root, whole.clone())?;
    // One that the patterns select and git does not ignore may still hold something that it does.
    let mixed: Vec<&[u8]> = names(&whole)
        .filter(|name| name.ends_with(b"/") && !names(&chosen).any(|known| known == *name))
        .collect();
    if !mixed.is_empty() {
        let inside = listed(h, root, &[])?;
        let within = |name: &&[u8]| mixed.iter().any(|directory| name.starts_with(directory));
        let inside: Vec<&[u8]> = names(&inside).filter(within).collect();
        chosen.extend(ignored(h, root, inside.join(&0))?);
    }
    bounded(outermost(&chosen))
}

const DOING: &str = "cannot read what .worktreeinclude selects";

fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == 0).filter(|name| !name.is_empty())
}

/// What the patterns select among what is not in git, ended by NULs.
fn listed(h: &mut dyn Helpers, root: &Path, options: &[&str]) -> Result<Vec<u8>> {
    let mut git = command::git(root);
    git.args(["ls-files", "-z", "--others", "--ignored", "--exclude-from", FILE]).args(options);
    command::checked(h, git, None, DOING)
}

/// Which of these git is told to ignore.
fn ignored(h: &mut dyn Helpers, root: &Path, list: Vec<u8>) -> Result<Vec<u8>> {
    if list.is_empty() {
        return Ok(list);
    }
    let mut git = command::git(root);
    git.args(["check-ignore", "-z", "--stdin"]);
    let output = command::run(h, git, Some(list), DOING)?;
    // 1: none of them is.
    if output.success() || output.code == Some(1) {
        Ok(output.stdout)
    } else {
        Err(command::refused(DOING, &output))
    }
}

/// Without what is inside of another one, and without what is never to be carried.
fn outermost(list: &[u8]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = names(list)
        .map(|name| name.strip_suffix(b"/").unwrap_or(name))
        .map(|name| PathBuf::from(OsString::from_vec(name.to_vec())))
        .filter(|path| !is_own(path))
        .collect();
    paths.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if kept.last().is_none_or(|outer| !path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

fn is_own(path: &Path) -> bool {
    let first = path.iter().next().unwrap_or_default();
    first == OsStr::from_bytes(b".lattice") || path.iter().any(|part| part == ".git")
}

fn bounded(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if paths.len() <= MOST {
        return Ok(paths);
    }
    let message =
        format!("{FILE} selects {} paths, and more than {MOST} are not copied", paths.len());
    Err(Failure::new(Code::ValidationError, message).hint(
        "name directories as a whole, such as `node_modules/`, or use `link` in the definition",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_of_another_path_goes_with_it() {
        let list = b".env\0a/\0a/b\0a.txt\0.lattice/runs/\0x/.git/y\0ab/c\0";
        let expected = [".env", "a", "a.txt", "ab/c"].map(PathBuf::from);
        assert_eq!(outermost(list), expected);
        assert_eq!(outermost(b""), Vec::<PathBuf>::new());
    }

    #[test]
    fn too_many_are_refused() {
        let paths = |count: usize| (0..count).map(|n| PathBuf::from(n.to_string())).collect();
        assert_eq!(bounded(paths(MOST)).unwrap().len(), MOST);
        assert_eq!(bounded(paths(MOST + 1)).unwrap_err().code(), Code::ValidationError);
    }
}
