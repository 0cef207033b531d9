//! Paths that were copied or linked from the project into a worktree: which of them are still as they came.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::command;
use crate::process::helper::Helpers;

/// What of `paths` (relative to both directories) the worker did not change, so that a secret carried into a worktree
/// does not end in a ref. A directory that changed in part is named by its unchanged parts.
///
/// Whatever cannot be compared counts as changed: rather too much is saved than too little.
pub fn unchanged(project_root: &Path, worktree_root: &Path, paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        if collect(project_root, worktree_root, path, &mut found) {
            found.push(path.clone());
        }
    }
    found
}

/// Whether git would leave it out of everything that it is not told to add by name. Not if it cannot be said.
pub fn is_ignored(h: &mut dyn Helpers, worktree_root: &Path, path: &Path) -> bool {
    let mut git = command::git(worktree_root);
    git.args(["check-ignore", "--quiet", "--"]).arg(path);
    command::run(h, git, None, "cannot ask what is ignored").is_ok_and(|output| output.success())
}

/// Whether `path` is the same on both sides; if it is not, its unchanged parts are in `found`.
fn collect(source: &Path, copy: &Path, path: &Path, found: &mut Vec<PathBuf>) -> bool {
    let (there, here) = (source.join(path), copy.join(path));
    let (Ok(there_meta), Ok(here_meta)) =
        (fs_err::symlink_metadata(&there), fs_err::symlink_metadata(&here))
    else {
        return false;
    };
    if here_meta.is_symlink() {
        return same_link(&there, &here);
    }
    if here_meta.is_file() && there_meta.is_file() {
        return here_meta.len() == there_meta.len() && same_bytes(&there, &here).unwrap_or(false);
    }
    here_meta.is_dir() && there_meta.is_dir() && collect_directory(source, copy, path, found)
}

fn collect_directory(source: &Path, copy: &Path, path: &Path, found: &mut Vec<PathBuf>) -> bool {
    let (Ok(there), Ok(here)) = (names(&source.join(path)), names(&copy.join(path))) else {
        return false;
    };
    let mut parts = Vec::new();
    let mut same = there == here;
    for name in here {
        let child = path.join(name);
        if collect(source, copy, &child, &mut parts) {
            parts.push(child);
        } else {
            same = false;
        }
    }
    if !same {
        found.append(&mut parts);
    }
    same
}

fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs_err::read_dir(directory)?
        .map(|child| Ok(child?.file_name().into()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// A link into the project, or a copy of a link that is there.
fn same_link(there: &Path, here: &Path) -> bool {
    let Ok(target) = fs_err::read_link(here) else { return false };
    target == there || fs_err::read_link(there).is_ok_and(|original| original == target)
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let mut one = io::BufReader::new(fs_err::File::open(one)?);
    let mut other = io::BufReader::new(fs_err::File::open(other)?);
    let (mut left, mut right) = ([0; 8192], [0; 8192]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        if other.read_exact(&mut right[..read]).is_err() || left[..read] != right[..read] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        dir
    }

    fn check(
        source: &tempfile::TempDir,
        copy: &tempfile::TempDir,
        paths: &[&str],
        expected: &[&str],
    ) {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(unchanged(source.path(), copy.path(), &paths), expected);
    }

    #[test]
    fn equal_copies_are_unchanged() {
        let files = [(".env", "SECRET=1"), ("conf/a", "a"), ("conf/deep/b", "b")];
        check(&tree(&files), &tree(&files), &[".env", "conf", "missing"], &[".env", "conf"]);
    }

    #[test]
    fn changed_files_are_not() {
        let source = tree(&[("same-length", "1"), ("longer", "1"), ("gone", "1"), ("dir/x", "1")]);
        let copy = tree(&[("same-length", "2"), ("longer", "12"), ("dir", "a file now")]);
        check(&source, &copy, &["same-length", "longer", "gone", "dir"], &[]);
    }

    #[test]
    fn a_directory_changed_in_part_is_named_by_the_rest() {
        let source = tree(&[
            ("c/secret", "1"),
            ("c/changed", "1"),
            ("c/d/x", "1"),
            ("c/d/y", "1"),
            ("c/e/z", "1"),
        ]);
        let copy = tree(&[
            ("c/secret", "1"),
            ("c/changed", "2"),
            ("c/d/x", "1"),
            ("c/e/z", "1"),
            ("c/new", "1"),
        ]);
        check(&source, &copy, &["c"], &["c/d/x", "c/e", "c/secret"]);
    }

    #[test]
    fn links_are_unchanged_while_they_lead_into_the_project() {
        let source = tree(&[("modules/x", "1")]);
        let copy = tree(&[]);
        symlink("x", source.path().join("copied")).unwrap();
        symlink("x", copy.path().join("copied")).unwrap();
        symlink(source.path().join("modules"), copy.path().join("modules")).unwrap();
        check(&source, &copy, &["modules", "copied"], &["modules", "copied"]);
        fs_err::remove_file(copy.path().join("modules")).unwrap();
        symlink("/elsewhere", copy.path().join("modules")).unwrap();
        check(&source, &copy, &["modules"], &[]);
    }
}
