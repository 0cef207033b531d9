//! Every path below `.lattice`, from one root, and how that root is found.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::owner;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{ArtifactId, RunId, TaskId};

const DIR: &str = ".lattice";

/// Where one project keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The project root.
    pub root: PathBuf,
    /// `.lattice` in it.
    pub dir: PathBuf,
}

impl Layout {
    /// The layout of a known root; nothing is looked at.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), dir: root.join(DIR) }
    }

    /// Finds the project: by the value of `LATTICE_ROOT` if there is one, else upwards from `cwd`.
    ///
    /// The variable may hold the project root or `.lattice` itself, because hooks of the Python tool export the
    /// latter. A root inside another project's `.lattice/worktrees` is a frozen copy: the other project is meant.
    pub fn discover(cwd: &Path, lattice_root: Option<&OsStr>) -> Result<Self> {
        let root = match lattice_root {
            Some(value) => named_root(cwd, value)?,
            None => root_above(cwd)?,
        };
        Ok(Self::at(&owner_of_worktree(&root)))
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("config.json")
    }

    pub fn ids(&self) -> PathBuf {
        self.dir.join("ids.json")
    }

    pub fn tasks(&self) -> PathBuf {
        self.dir.join("tasks")
    }

    pub fn events(&self) -> PathBuf {
        self.dir.join("events")
    }

    pub fn archive_tasks(&self) -> PathBuf {
        self.dir.join("archive/tasks")
    }

    pub fn archive_events(&self) -> PathBuf {
        self.dir.join("archive/events")
    }

    pub fn artifact_metas(&self) -> PathBuf {
        self.dir.join("artifacts/meta")
    }

    pub fn artifact_payloads(&self) -> PathBuf {
        self.dir.join("artifacts/payload")
    }

    pub fn plans(&self) -> PathBuf {
        self.dir.join("plans")
    }

    pub fn notes(&self) -> PathBuf {
        self.dir.join("notes")
    }

    pub fn locks(&self) -> PathBuf {
        self.dir.join("locks")
    }

    /// Directories of runs that have not ended.
    pub fn runs(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// The random name of this directory on this machine, as opposed to a clone of it.
    pub fn store_file(&self) -> PathBuf {
        self.runs().join(".store")
    }

    /// Which tasks have a relationship to which, as the directories of this machine were found.
    pub fn links(&self) -> PathBuf {
        self.runs().join(".links")
    }

    pub fn run_dir(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    pub fn worktrees(&self) -> PathBuf {
        self.dir.join("worktrees")
    }

    /// Output and records of runs.
    pub fn worker_logs(&self) -> PathBuf {
        self.dir.join("logs/workers")
    }

    /// Ends of event logs that were cut off by a crash.
    pub fn torn_tails(&self) -> PathBuf {
        self.dir.join("logs/torn")
    }

    pub fn snapshot(&self, task: &TaskId) -> PathBuf {
        self.dir.join(["tasks/", &task.file_name("json")].concat())
    }

    pub fn log(&self, task: &TaskId) -> PathBuf {
        self.dir.join(["events/", &task.file_name("jsonl")].concat())
    }

    pub fn archived_snapshot(&self, task: &TaskId) -> PathBuf {
        self.dir.join(["archive/tasks/", &task.file_name("json")].concat())
    }

    pub fn archived_log(&self, task: &TaskId) -> PathBuf {
        self.dir.join(["archive/events/", &task.file_name("jsonl")].concat())
    }

    /// Whether there is any log or snapshot of a task.
    pub fn has_task(&self, task: &TaskId) -> bool {
        let (active, archived) = (self.snapshot(task), self.archived_snapshot(task));
        [self.log(task), self.archived_log(task), active, archived].iter().any(|path| path.exists())
    }

    /// Copies of the life-cycle events of all tasks.
    pub fn lifecycle_log(&self) -> PathBuf {
        self.events().join("_lifecycle.jsonl")
    }

    pub fn artifact_meta(&self, artifact: &ArtifactId) -> PathBuf {
        self.artifact_metas().join(format!("{artifact}.json"))
    }

    pub fn plan(&self, task: &TaskId) -> PathBuf {
        self.plans().join(format!("{task}.md"))
    }

    pub fn note(&self, task: &TaskId) -> PathBuf {
        self.notes().join(format!("{task}.md"))
    }

    pub fn archived_plan(&self, task: &TaskId) -> PathBuf {
        self.dir.join(format!("archive/plans/{task}.md"))
    }

    pub fn archived_note(&self, task: &TaskId) -> PathBuf {
        self.dir.join(format!("archive/notes/{task}.md"))
    }

    /// Worker definitions: in the project, not in `.lattice`.
    pub fn definitions(&self) -> PathBuf {
        self.root.join("workers")
    }

    /// Makes every directory that a write may need: git keeps no empty ones, so a fresh clone lacks some.
    pub fn ensure_dirs(&self) -> Result<()> {
        self.dirs().into_iter().try_for_each(|(dir, mode)| make_dir(&dir, mode))
    }

    /// Those of [`Self::ensure_dirs`] that are not there, though the Python tool expects them. What belongs to this
    /// machine alone is made when it is needed.
    pub fn missing_dirs(&self) -> Vec<PathBuf> {
        let own = ["locks", "logs", "runs", "worktrees"].map(|name| self.dir.join(name));
        let expected = |dir: &PathBuf| !own.iter().any(|own| dir.starts_with(own));
        let dirs = self.dirs().into_iter().map(|(dir, _)| dir);
        dirs.filter(|dir| expected(dir) && !dir.is_dir()).collect()
    }

    /// With the mode for a new one, before the umask.
    fn dirs(&self) -> Vec<(PathBuf, u32)> {
        let shared = [
            self.tasks(),
            self.events(),
            self.archive_tasks(),
            self.archive_events(),
            self.dir.join("archive/notes"),
            self.dir.join("archive/plans"),
            self.artifact_metas(),
            self.artifact_payloads(),
            self.plans(),
            self.notes(),
            self.locks(),
            self.dir.join("logs"),
            self.runs(),
        ];
        // Output of agents and copies of the project: nobody else's business.
        let private = [self.worker_logs(), self.torn_tails(), self.worktrees()];
        let shared = shared.into_iter().map(|dir| (dir, 0o777));
        shared.chain(private.into_iter().map(|dir| (dir, 0o700))).collect()
    }
}

fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    Ok(owner::make_dirs(dir, mode)?)
}

fn named_root(cwd: &Path, value: &OsStr) -> Result<PathBuf> {
    let refuse = |why: &str| {
        Failure::new(Code::NotInitialized, format!("LATTICE_ROOT is '{}', {why}", value.display()))
            .hint("set LATTICE_ROOT to a directory that contains .lattice/, or unset it")
    };
    if value.is_empty() {
        return Err(refuse("which names no directory"));
    }
    let path =
        fs_err::canonicalize(cwd.join(value)).map_err(|_| refuse("which is not a directory"))?;
    if path.join(DIR).is_dir() {
        return Ok(path);
    }
    match path.parent() {
        Some(parent) if path.ends_with(DIR) && path.join("config.json").is_file() => {
            Ok(parent.to_owned())
        }
        _ => Err(refuse("which contains no .lattice/")),
    }
}

fn root_above(cwd: &Path) -> Result<PathBuf> {
    let cwd = fs_err::canonicalize(cwd)?;
    let root = cwd.ancestors().find(|dir| dir.join(DIR).is_dir());
    root.map(Path::to_owned).ok_or_else(|| {
        Failure::new(Code::NotInitialized, format!("no .lattice/ in {} or above", cwd.display()))
            .hint("lattice init")
    })
}

/// The project whose worktree the path lies in; the outermost one, because worktrees hold copies of worktrees' hosts.
fn owner_of_worktree(root: &Path) -> PathBuf {
    let worktrees = Path::new(DIR).join("worktrees");
    let owner = |dir: &Path| {
        dir.ends_with(&worktrees).then(|| dir.parent()?.parent().map(Path::to_owned)).flatten()
    };
    root.ancestors().filter_map(owner).last().unwrap_or_else(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories to make below a temporary one, where to stand, the variable, and the root that is found.
    #[track_caller]
    fn check(dirs: &[&str], cwd: &str, variable: Option<&str>, expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let base = fs_err::canonicalize(dir.path()).unwrap();
        for dir in dirs {
            fs_err::create_dir_all(base.join(dir)).unwrap();
            if dir.ends_with(DIR) {
                fs_err::write(base.join(dir).join("config.json"), "{}").unwrap();
            }
        }
        let variable = variable.map(|value| value.replace("BASE", base.to_str().unwrap()));
        let found = Layout::discover(&base.join(cwd), variable.as_deref().map(OsStr::new));
        match expected {
            Some(root) => assert_eq!(found.unwrap(), Layout::at(&base.join(root))),
            None => assert_eq!(found.unwrap_err().code(), Code::NotInitialized),
        }
    }

    #[test]
    fn upwards() {
        check(&["p/.lattice", "p/a/b"], "p/a/b", None, Some("p"));
        check(&["p/.lattice", "p/a/.lattice"], "p/a", None, Some("p/a"));
        check(&["p/.lattice", "p/.lattice/tasks"], "p/.lattice/tasks", None, Some("p"));
        check(&["p"], "p", None, None);
    }

    #[test]
    fn by_variable_in_both_forms() {
        check(&["p/.lattice", "q/.lattice"], "q", Some("BASE/p"), Some("p"));
        check(&["p/.lattice", "q"], "q", Some("../p"), Some("p"));
        check(&["p/.lattice", "q"], "q", Some("BASE/p/.lattice"), Some("p"));
        check(&["p/.lattice", "p/.lattice/tasks"], "p", Some("BASE/p/.lattice/tasks"), None);
        check(&["p/.lattice"], "p", Some(""), None);
        check(&["p/.lattice"], "p", Some("BASE/none"), None);
        check(&["p/.lattice", "q"], "p", Some("BASE/q"), None);
    }

    #[test]
    fn f5_a_worktree_belongs_to_its_project() {
        let dirs = ["p/.lattice", "p/.lattice/worktrees/w/.lattice", "p/.lattice/worktrees/w/src"];
        check(&dirs, "p/.lattice/worktrees/w/src", None, Some("p"));
        check(&dirs, "p", Some("BASE/p/.lattice/worktrees/w"), Some("p"));
        check(&dirs, "p", Some("BASE/p/.lattice/worktrees/w/.lattice"), Some("p"));
        let nested = ["p/.lattice", "p/.lattice/worktrees/w/.lattice/worktrees/v/.lattice"];
        check(&nested, "p/.lattice/worktrees/w/.lattice/worktrees/v", None, Some("p"));
        check(&["p/worktrees/.lattice"], "p/worktrees", None, Some("p/worktrees"));
    }

    #[test]
    fn directories_are_made_and_the_private_ones_are_private() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        layout.ensure_dirs().unwrap();
        for private in [layout.worktrees(), layout.worker_logs(), layout.torn_tails()] {
            assert_eq!(fs_err::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert!(
            layout.archive_events().is_dir()
                && layout.artifact_payloads().is_dir()
                && layout.runs().is_dir()
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(DIR), "").unwrap();
        let failure = Layout::at(dir.path()).ensure_dirs().unwrap_err();
        assert_eq!(failure.code(), Code::IoError);
        assert!(failure.message().contains("/.lattice`"), "{failure}");
    }
}
