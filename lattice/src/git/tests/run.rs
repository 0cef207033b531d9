//! A run's worktree in a scratch repository, and saving it.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::fixture::{Blocking, Project, git, write};
use crate::git::salvage::{Request, Salvage, preserved_ref, save};
use crate::git::worktree::{New, add, entry};
use crate::model::ids::RunId;
use crate::process::helper::{HelperOutput, Helpers};

pub(super) struct Run {
    pub(super) project: Project,
    pub(super) worktree: PathBuf,
    pub(super) id: RunId,
    pub(super) base: String,
    pub(super) exclude: Vec<PathBuf>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self::of(Project::new())
    }

    pub(super) fn of(project: Project) -> Self {
        let worktree = project.dir.path().join("wt-1");
        add(
            &mut Blocking,
            &project.repository(),
            &New { path: &worktree, commit: "HEAD", reason: "lattice" },
            &mut |_| {},
        )
        .unwrap();
        let base = project.head();
        Self { project, worktree, id: RunId::generate(), base, exclude: Vec::new() }
    }

    pub(super) fn entry(&self) -> Option<PathBuf> {
        entry(&self.project.repository().common_dir, &self.worktree).unwrap()
    }

    pub(super) fn save_with(&self, h: &mut dyn Helpers) -> Salvage {
        let entry = self.entry();
        save(
            h,
            &Request {
                common_dir: &self.project.top.join(".git"),
                entry: entry.as_deref(),
                worktree: &self.worktree,
                run: &self.id,
                base_commit: &self.base,
                exclude: &self.exclude,
                scratch: self.project.dir.path(),
            },
        )
    }

    pub(super) fn save(&self) -> Salvage {
        self.save_with(&mut Blocking)
    }

    /// Saves, expects a ref and no veto.
    pub(super) fn saved(&self) {
        assert_eq!(
            self.save(),
            Salvage { preserved_ref: Some(preserved_ref(&self.id)), veto: None }
        );
    }

    pub(super) fn veto(&self) -> String {
        self.save().veto.expect("a veto")
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        write(&self.worktree.join(path), content);
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.worktree, arguments)
    }

    pub(super) fn commit(&self, path: &str) -> String {
        self.write(path, path);
        self.git(&["add", path]);
        self.git(&["commit", "-qm", path]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A file of the preserved commit.
    pub(super) fn preserved(&self, path: &str) -> String {
        self.project.git(&["show", &format!("{}:{path}", preserved_ref(&self.id))])
    }

    pub(super) fn preserved_name(&self) -> String {
        self.project.git(&["rev-parse", &preserved_ref(&self.id)])
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let listing = self.project.git(&["ls-tree", "-r", "--name-only", &preserved_ref(&self.id)]);
        listing.lines().map(str::to_owned).collect()
    }

    pub(super) fn parents(&self) -> Vec<String> {
        let parents = self.project.git(&["rev-parse", &format!("{}^@", preserved_ref(&self.id))]);
        parents.lines().map(str::to_owned).collect()
    }
}

pub(super) const NOTHING: Salvage = Salvage { preserved_ref: None, veto: None };

/// Answers one subcommand by itself.
pub(super) struct Faulty {
    pub(super) subcommand: &'static str,
    pub(super) output: HelperOutput,
}

impl Helpers for Faulty {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        if command.get_args().any(|argument| argument == self.subcommand) {
            return Ok(self.output.clone());
        }
        Blocking.run(command, stdin, limit)
    }
}

pub(super) fn failing(subcommand: &'static str, code: i32, stderr: &str) -> Faulty {
    Faulty {
        subcommand,
        output: HelperOutput { code: Some(code), stderr: stderr.into(), ..HelperOutput::default() },
    }
}
