//! A directory at one moment, to show that a refused command has changed nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::sandbox::Sandbox;

/// Every path below a directory with its mode and content.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, (u32, Vec<u8>)>);

impl Tree {
    /// Directories whose path ends in one of `without` are left out, with what is in them.
    pub fn of(directory: &Path, without: &[&str]) -> Self {
        let mut found = BTreeMap::new();
        let mut open = vec![directory.to_owned()];
        while let Some(path) = open.pop() {
            let meta = fs::symlink_metadata(&path).expect("a listed path is there");
            if without.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            let content = if meta.is_dir() {
                let entries = fs::read_dir(&path).expect("a directory can be listed");
                open.extend(entries.map(|entry| entry.expect("a directory can be listed").path()));
                Vec::new()
            } else if meta.is_symlink() {
                fs::read_link(&path)
                    .expect("a link can be read")
                    .into_os_string()
                    .into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).unwrap_or_else(|error| error.to_string().into_bytes())
            } else {
                Vec::new()
            };
            found.insert(path, (meta.mode(), content));
        }
        Self(found)
    }

    /// Paths that only one of the two has, or whose mode or content differs.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut paths: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let differs = |path: &&&PathBuf| self.0.get(**path) != other.0.get(**path);
        paths.iter().filter(differs).map(|path| path.display().to_string()).collect()
    }
}

impl Sandbox {
    /// The project but for what any command may touch, lock files and the store's name, and for members of a pool,
    /// which stay where they belong.
    pub fn tree(&self) -> Tree {
        let without = [".lattice/locks", ".lattice/runs/.store", "project/.git"];
        let mut tree = Tree::of(&self.project, &without);
        let members = self.lattice_dir().join("worktrees/.pool-");
        let members = members.as_os_str().as_encoded_bytes();
        tree.0.retain(|path, _| !path.as_os_str().as_encoded_bytes().starts_with(members));
        tree
    }

    /// Fails if the project is not what it was.
    #[track_caller]
    pub fn assert_unchanged(&self, before: &Tree) {
        let differences = before.differences(&self.tree());
        assert!(differences.is_empty(), "changed: {differences:#?}");
    }
}
