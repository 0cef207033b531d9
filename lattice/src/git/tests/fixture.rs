//! A scratch repository, and helpers that simply block.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::git::repository::{Repository, discover};
use crate::process::env::GIT_LOCAL;
use crate::process::helper::{HelperOutput, Helpers};
use crate::process::spawn;

pub(super) struct Blocking;

impl Helpers for Blocking {
    fn run(
        &mut self,
        mut command: Command,
        stdin: Option<Vec<u8>>,
        _limit: Duration,
    ) -> io::Result<HelperOutput> {
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let feeder = stdin.map(|bytes| {
            let mut pipe = child.stdin.take().unwrap();
            std::thread::spawn(move || pipe.write_all(&bytes))
        });
        let output = child.wait_with_output()?;
        if let Some(feeder) = feeder {
            feeder.join().unwrap()?;
        }
        let (stdout, stderr) = (output.stdout, output.stderr);
        Ok(HelperOutput { code: output.status.code(), stdout, stderr, ..HelperOutput::default() })
    }
}

/// Helpers whose every run ends like this.
pub(super) struct Ending(pub(super) HelperOutput);

impl Helpers for Ending {
    fn run(
        &mut self,
        _command: Command,
        _stdin: Option<Vec<u8>>,
        _limit: Duration,
    ) -> io::Result<HelperOutput> {
        Ok(self.0.clone())
    }
}

/// A repository with one commit: `a.txt`, `.gitignore` (`*.log`) and `sub/prompt.md`.
pub(super) struct Project {
    pub(super) dir: TempDir,
    pub(super) top: PathBuf,
}

impl Project {
    pub(super) fn new() -> Self {
        let project = Self::without_commit();
        project.write("a.txt", "one\n");
        project.write(".gitignore", "*.log\n");
        project.write("sub/prompt.md", "Review it.\n");
        project.git(&["add", "-A"]);
        project.git(&["commit", "-qm", "first"]);
        project
    }

    pub(super) fn without_commit() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = fs_err::canonicalize(dir.path()).unwrap().join("repo");
        fs_err::create_dir(&top).unwrap();
        let project = Self { dir, top };
        project.git(&["init", "-q", "-b", "main"]);
        project
    }

    pub(super) fn repository(&self) -> Repository {
        discover(&self.top).unwrap().unwrap()
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        write(&self.top.join(path), content);
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.top, arguments)
    }

    pub(super) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

/// Git as a user would call it: own identity, nobody's configuration. Panics unless it succeeds.
pub(super) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = user_git(directory, arguments).output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

pub(super) fn user_git(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = spawn::command("git");
    for name in GIT_LOCAL {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "User")
            .env(format!("GIT_{role}_EMAIL"), "user@example.org");
    }
    command.args(["-c", "protocol.file.allow=always"]);
    command.current_dir(directory).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
