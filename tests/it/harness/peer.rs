//! The Python tool, for comparison: installed once into the target directory, driven in one process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use fs_err as fs;
use fs_err::File;
use serde_json::{Value, json};

use super::binaries::{self, variable, workspace};
use super::call::command;
use super::sandbox::Sandbox;

/// What is compared with.
const TOOL: &str = "lattice-tracker==0.2.0";
/// A version of the tool's lock library that deletes lock files.
pub const DELETING: &str = "filelock==3.24.0";
/// How long a failed installation is not tried again: each test is a process, and each would wait for an index.
const FAILED_FOR: Duration = Duration::from_secs(600);

/// A process that runs commands of the Python tool, one after the other.
pub struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What one command of the Python tool did.
#[derive(Debug)]
pub struct Answer {
    pub code: i64,
    pub stdout: String,
    pub stderr: String,
    /// The exception that it died of.
    pub crash: Option<String>,
}

impl Peer {
    /// With the newest libraries, or with another one (`DELETING`). `Err` is the reason where it cannot be had.
    pub fn new(sandbox: &Sandbox, library: Option<&str>) -> Result<Self, String> {
        let python = installed(library)?.join("bin/python");
        let driver = workspace().join("tests/peer/driver.py");
        let (argv, environment, directory) =
            sandbox.program([python.as_os_str(), driver.as_os_str()]).parts();
        let mut child = command(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(environment)
            .env("LATTICE_NO_UPDATE_CHECK", "1")
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let requests = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut peer = Self { child, requests, answers };
        assert!(peer.line()["ready"].is_number(), "the driver says that it is there");
        Ok(peer)
    }

    /// One command in a directory.
    #[track_caller]
    pub fn call(&mut self, directory: &Path, argv: &[&str]) -> Answer {
        self.send(&json!({ "directory": directory, "argv": argv }));
        self.answers().remove(0)
    }

    /// Begins to call commands in turn until there is a file `until`. In them `{n}` is the number of the call, and
    /// `{pid}` what no other peer has.
    pub fn race(&mut self, directory: &Path, commands: &[&[&str]], until: &Path) {
        self.send(&json!({"directory": directory, "race": commands, "until": until}));
    }

    /// What the race did.
    #[track_caller]
    pub fn answers(&mut self) -> Vec<Answer> {
        let line = self.line();
        line.as_array().expect("a list of answers").iter().map(Answer::of).collect()
    }

    fn send(&mut self, request: &Value) {
        writeln!(self.requests, "{request}").expect("the driver reads");
    }

    #[track_caller]
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the driver answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Answer {
    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self {
            code: value["code"].as_i64().expect("an exit status"),
            stdout: text("stdout"),
            stderr: text("stderr"),
            crash: value["crash"].as_str().map(str::to_owned),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A virtual environment with the tool, made by the first who needs it.
fn installed(library: Option<&str>) -> Result<PathBuf, String> {
    let base = binaries::target().join("python-peer");
    fs::create_dir_all(&base).map_err(|error| error.to_string())?;
    let name = library.unwrap_or("newest").replace('=', "");
    let (directory, failed) = (base.join(&name), base.join(format!("{name}.failed")));
    let lock =
        File::create(base.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.file().lock().map_err(|error| error.to_string())?;
    if directory.exists() {
        return Ok(directory);
    }
    let is_recent = |path: &Path| path.metadata().ok()?.modified().ok()?.elapsed().ok();
    if is_recent(&failed).is_some_and(|age| age < FAILED_FOR) {
        return Err(fs::read_to_string(&failed).unwrap_or_default());
    }
    let made = python().and_then(|python| install(&python, &base, library));
    match made {
        Ok(made) => fs::rename(made.keep(), &directory).map_err(|error| error.to_string())?,
        Err(reason) => {
            fs::write(&failed, &reason).map_err(|error| error.to_string())?;
            return Err(reason);
        }
    }
    Ok(directory)
}

/// Goes with its value if the installation fails; the environment may be renamed, since nothing but its `python`
/// is called.
fn install(python: &Path, base: &Path, library: Option<&str>) -> Result<tempfile::TempDir, String> {
    let made = tempfile::tempdir_in(base).map_err(|error| error.to_string())?;
    quiet(command(python).args(["-m", "venv"]).arg(made.path()))?;
    let pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1", TOOL];
    quiet(command(made.path().join("bin/python")).args(pip).args(library))?;
    Ok(made)
}

fn quiet(command: &mut std::process::Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("the Python tool cannot be installed: {last}"))
}

/// A Python that the tool runs on.
fn python() -> Result<PathBuf, String> {
    let on_path = ["python3.14", "python3.13", "python3.12", "python3"].map(PathBuf::from);
    let versions = variable("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let by_pyenv = versions.and_then(|path| fs::read_dir(path).ok()).into_iter().flatten();
    let by_pyenv = by_pyenv.filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")));
    let fits = |python: &PathBuf| {
        let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))";
        quiet(command(python).args(["-c", check])).is_ok()
    };
    let mut candidates = on_path.into_iter().chain(by_pyenv);
    candidates.find(fits).ok_or_else(|| "no Python 3.12 or newer".to_owned())
}
