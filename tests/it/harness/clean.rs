//! What a finished run may leave: its events, its log, its record, its salvage ref. Everything else is a leak.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::sandbox::Sandbox;
use super::waiting::eventually;

/// From the terminal event to the last step of the end sequence.
const LIMIT: Duration = Duration::from_secs(15);

impl Sandbox {
    /// Waits for the end sequences to end, then finds nothing that they should have removed.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_left(&[]);
    }

    /// As [`Self::assert_clean`], but exactly these traces are left, each named by its beginning.
    #[track_caller]
    pub fn assert_left(&self, expected: &[&str]) {
        eventually("nothing but what is expected is left", LIMIT, || {
            let left = self.traces();
            let fits = left.len() == expected.len()
                && left.iter().zip(expected).all(|(l, e)| l.starts_with(e));
            if fits { Ok(()) } else { Err(format!("{left:#?}, expected {expected:#?}")) }
        });
        let changes = self.changes();
        assert_eq!(changes, "", "the main checkout is untouched");
    }

    /// One line for each trace of a run that is not over, sorted by kind.
    pub fn traces(&self) -> Vec<String> {
        let lattice = self.lattice_dir();
        let mut traces = Vec::new();
        let mut collect = |kind: &str, names: Vec<String>| {
            traces.extend(
                names
                    .into_iter()
                    .filter(|name| name != ".store")
                    .map(|name| format!("{kind} {name}")),
            );
        };
        collect("run", names_in(&lattice.join("runs")));
        collect("worktree", worktrees_in(&lattice.join("worktrees")));
        if self.project.join(".git").is_dir() {
            let entries = names_in(&self.project.join(".git/worktrees"));
            // Without an entry git has nothing to list.
            let lists = !entries.is_empty();
            collect("entry", entries);
            if lists {
                // git fails when an entry goes away under it; that is one more reason to look again.
                let listed = self.program(["git", "worktree", "list"]).run();
                let lines = listed.stdout.lines().skip(1).chain(listed.stderr.lines());
                collect("listed", lines.map(str::to_owned).collect());
            }
        }
        collect("process", self.processes());
        traces
    }

    /// What `git status` says of the user's own files.
    pub fn changes(&self) -> String {
        if !self.project.join(".git").is_dir() {
            return String::new();
        }
        self.git(["status", "--porcelain", "--untracked-files=all", "--", ".", ":!.lattice"])
    }
}

/// Members of a pool are where they belong, half-made ones are not.
fn worktrees_in(directory: &Path) -> Vec<String> {
    let mut names = names_in(directory);
    names.retain(|name| {
        !(name.starts_with(".pool-") && directory.join(name).join("facts.json").exists())
    });
    names
}

fn names_in(directory: &Path) -> Vec<String> {
    // Absent is as good as empty.
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().display().to_string())).collect();
    names.sort();
    names
}
