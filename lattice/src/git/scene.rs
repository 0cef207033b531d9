//! What a run's worktree is when its work is to be saved, and git aimed at it whatever the worker did to it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command;
use super::salvage::Request;
use crate::model::failure::Result;
use crate::model::ids::new_ulid;
use crate::process::helper::Helpers;

/// What is there to save.
pub(super) struct Scene<'a> {
    pub(super) request: &'a Request<'a>,
    /// A whole entry: without `HEAD` and `commondir` git would not take it for one.
    pub(super) entry: Option<&'a Path>,
    /// The worktree is a directory and holds more than git's own link.
    pub(super) has_files: bool,
    pub(super) vetoes: Vec<String>,
    /// An index of our own: the worker's may be locked, damaged, or told to overlook changes, and there may be another
    /// ender where locks prove nothing. One that is killed leaves it to go with the run directory.
    pub(super) index: PathBuf,
}

impl<'a> Scene<'a> {
    pub(super) fn look(request: &'a Request<'a>) -> Self {
        let whole = |entry: &&Path| entry.join("HEAD").exists() && entry.join("commondir").exists();
        let mut scene = Self {
            request,
            entry: request.entry.filter(whole),
            has_files: false,
            vetoes: Vec::new(),
            index: request.scratch.join(format!("salvage-{}.index", new_ulid())),
        };
        match scene.look_at_worktree() {
            Ok(has_files) => scene.has_files = has_files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => scene.vetoes.push(format!("the worktree cannot be read: {error}")),
        }
        if scene.has_files && scene.entry.is_none() {
            let why = "git's entry for the worktree is gone, so commits made in it cannot be found";
            scene.vetoes.push(why.to_owned());
        }
        scene
    }

    fn look_at_worktree(&mut self) -> io::Result<bool> {
        let worktree = self.request.worktree;
        if !fs_err::symlink_metadata(worktree)?.is_dir() {
            self.vetoes.push(format!("{} is not a directory any more", worktree.display()));
            return Ok(false);
        }
        if fs_err::symlink_metadata(worktree.join(".git")).is_ok_and(|meta| meta.is_dir()) {
            self.vetoes.push("the worktree was made a repository of its own".to_owned());
        }
        for child in fs_err::read_dir(worktree)? {
            if child?.file_name() != ".git" {
                return Ok(true);
            }
        }
        // Emptied by the worker, or never filled: without the entry nobody can tell, and nothing is lost.
        Ok(self.entry.is_some_and(|entry| entry.join("index").exists()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entry.is_none() && !self.has_files && self.vetoes.is_empty()
    }

    /// Git on this worktree, whatever became of its `.git` file.
    pub(super) fn git(&self) -> Command {
        let common_dir = self.request.common_dir;
        let directory = if self.has_files { self.request.worktree } else { common_dir };
        let mut git = command::git(directory);
        git.env("GIT_DIR", self.entry.unwrap_or(common_dir)).env("GIT_INDEX_FILE", &self.index);
        if self.has_files {
            git.env("GIT_WORK_TREE", self.request.worktree);
        }
        git
    }

    pub(super) fn ask(
        &self,
        h: &mut dyn Helpers,
        doing: &str,
        arguments: &[&str],
    ) -> Result<Vec<u8>> {
        let mut git = self.git();
        git.args(arguments);
        command::checked(h, git, None, doing)
    }
}
