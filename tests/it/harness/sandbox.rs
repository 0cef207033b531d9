//! A project of a test's own: directory, home, environment, repository, `.lattice`, one task. Gone with its value.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use std::{env, thread};

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::binaries::{self, variable};
use super::call::{Call, Finished, Running};
use super::normalize::Names;
use super::process::{carrying, describe};
use super::socket::Socket;
use super::waiting::eventually;

/// Who acts in the tests.
pub const ACTOR: &str = "human:ana";
/// `f_type` of a tmpfs in statfs(2).
const TMPFS_MAGIC: i64 = 0x0102_1994;

pub struct Sandbox {
    pub base: PathBuf,
    /// The project root, which holds `.lattice`.
    pub project: PathBuf,
    /// The ID of the one task that is there; empty until `.lattice` is.
    pub task: String,
    pub socket: Socket,
    /// How long the supervisors of the last run may take to go, once the test is over.
    pub patience: Duration,
    environment: Vec<(OsString, OsString)>,
    /// `LATTICE_TEST_ID=…`: every process that was started here has it, unless it took care not to.
    marker: String,
    names: Rc<RefCell<Names>>,
    directory: Option<TempDir>,
}

impl Sandbox {
    /// A git repository with a commit, an initialized `.lattice` that is committed too, and task `LAT-1`.
    pub fn new() -> Self {
        let mut sandbox = Self::empty();
        sandbox.make_repository();
        sandbox.make_lattice();
        sandbox.commit("Start to track");
        sandbox
    }

    /// `.lattice` and a task, but no repository.
    pub fn without_git() -> Self {
        let mut sandbox = Self::empty();
        sandbox.make_lattice();
        sandbox
    }

    /// An empty project directory.
    pub fn empty() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("lt-")
            .tempdir_in(root())
            .expect("a directory for the test");
        Self::at(directory.path().to_owned(), Some(directory))
    }

    /// In a directory that somebody else removes, such as a mount.
    pub fn at(base: PathBuf, directory: Option<TempDir>) -> Self {
        let base = fs::canonicalize(base).expect("the sandbox is there");
        let project = base.join("project");
        for made in [&project, &base.join("home"), &base.join("tmp")] {
            fs::create_dir_all(made).expect("the sandbox is writable");
        }
        let id = base.file_name().expect("a sandbox has a name").to_string_lossy().into_owned();
        let paths = vec![
            (project.display().to_string(), "$DIR"),
            (base.display().to_string(), "$BASE"),
            (binaries::directory().display().to_string(), "$BIN"),
        ];
        Self {
            environment: environment(&base, &id),
            marker: format!("LATTICE_TEST_ID={id}"),
            socket: Socket::bind(base.join("s")),
            patience: Duration::from_secs(20),
            names: Rc::new(RefCell::new(Names::new(paths))),
            task: String::new(),
            base,
            project,
            directory,
        }
    }

    pub fn make_repository(&self) {
        self.git(["init", "-q", "-b", "main"]);
        self.identify();
        self.write("README.md", "A project.\n");
        self.commit("Begin");
    }

    /// An identity for the user's own commits, local to this repository.
    pub fn identify(&self) {
        self.git(["config", "user.name", "Ana"]);
        self.git(["config", "user.email", "ana@example.org"]);
        // Detached maintenance would outlive the test that committed.
        self.git(["config", "maintenance.auto", "false"]);
        self.git(["config", "gc.auto", "0"]);
    }

    pub fn make_lattice(&mut self) {
        self.lattice(["init", "--project-code", "LAT", "--actor", ACTOR]).run().ok();
        if let Some(members) = members_of_pools() {
            self.pool(members);
        }
        self.task = self.create("First task");
    }

    /// A new task's full ID.
    pub fn create(&self, title: &str) -> String {
        let created = self.lattice(["create", title, "--actor", ACTOR, "--json"]).run().ok().data();
        created["id"].as_str().expect("a task has an ID").to_owned()
    }

    pub fn lattice_dir(&self) -> PathBuf {
        self.project.join(".lattice")
    }

    pub fn lattice<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        self.program(
            [OsString::from(binaries::lattice())]
                .into_iter()
                .chain(args.into_iter().map(Into::into)),
        )
    }

    /// A program in the project root with the sandbox's environment.
    pub fn program<S: Into<OsString>>(&self, argv: impl IntoIterator<Item = S>) -> Call {
        let argv = argv.into_iter().map(Into::into).collect();
        Call::new(argv, self.environment.clone(), self.project.clone(), Rc::clone(&self.names))
    }

    #[track_caller]
    pub fn sh(&self, script: &str) -> Finished {
        self.program(["bash", "-c", script]).run().ok()
    }

    #[track_caller]
    pub fn git<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let argv = [OsString::from("git")].into_iter().chain(args.into_iter().map(Into::into));
        self.program(argv).run().ok().stdout.trim_end().to_owned()
    }

    pub fn commit(&self, message: &str) {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.project.join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("the project is writable");
        fs::write(path, text).expect("the project is writable");
    }

    /// Defines a worker, and commits it where there is a repository.
    pub fn worker(&self, name: &str, definition: Value) {
        self.workers([(name, definition)]);
    }

    /// Several, in one commit.
    pub fn workers<'a>(&self, workers: impl IntoIterator<Item = (&'a str, Value)>) {
        for (name, mut definition) in workers {
            definition["name"] = json!(name);
            let text = serde_json::to_string_pretty(&definition).expect("a value is JSON");
            self.write(&format!("workers/{}.json", name.to_lowercase()), &text);
        }
        if self.project.join(".git").exists() {
            self.git(["add", "workers"]);
            self.git(["commit", "-q", "--allow-empty", "-m", "Define a worker"]);
        }
    }

    /// Sets one top-level key of `config.json`.
    pub fn configure(&self, key: &str, value: Value) {
        let path = self.lattice_dir().join("config.json");
        let bytes = fs::read(&path).expect("a project has a configuration");
        let mut config: Value = serde_json::from_slice(&bytes).expect("the configuration is JSON");
        config[key] = value;
        let text = serde_json::to_string_pretty(&config).expect("a value is JSON");
        fs::write(&path, text + "\n").expect("the project is writable");
    }

    /// Whether finished worktrees are kept where a test says nothing of that.
    pub fn has_pool(&self) -> bool {
        members_of_pools().is_some_and(|members| members > 0)
    }

    /// How many worktrees are kept for the next runs.
    pub fn pool(&self, members: u64) {
        self.configure("workers", json!({"worktree_pool": members}));
    }

    /// The argument vector of a fake engine that knows this sandbox's socket.
    pub fn fake_argv(&self, steps: &[&str]) -> Vec<String> {
        let socket = format!("socket={}", self.socket.path().display());
        let steps = steps.iter().map(|step| (*step).to_owned());
        [binaries::fake_engine(), socket].into_iter().chain(steps).collect()
    }

    /// The same as the `command` of a definition.
    pub fn fake(&self, steps: &[&str]) -> Value {
        json!(self.fake_argv(steps))
    }

    /// The same as a line of shell.
    pub fn fake_line(&self, steps: &[&str]) -> String {
        let quoted: Vec<_> = self.fake_argv(steps).iter().map(|arg| format!("'{arg}'")).collect();
        quoted.join(" ")
    }

    /// A fake that is no worker: a bystander, a holder of a lock.
    pub fn start_fake(&self, steps: &[&str]) -> Running {
        self.program(self.fake_argv(steps)).start()
    }

    /// A worker that is a fake engine, with nothing else said.
    pub fn fake_worker(&self, name: &str, steps: &[&str]) {
        self.worker(name, json!({ "command": self.fake(steps) }));
    }

    /// The text with identifiers, times and paths replaced.
    pub fn normal(&self, text: &str) -> String {
        self.names.borrow_mut().normalize(text)
    }

    /// The short forms of the identifiers in all texts that were normalized, with labels.
    pub fn tails(&self) -> Vec<(String, String)> {
        self.names.borrow().tails()
    }

    /// Live processes that were started here, other than commands that a test still reads from.
    pub fn processes(&self) -> Vec<String> {
        carrying(&self.marker).iter().map(|process| describe(process.pid)).collect()
    }

    /// The same to be signalled, by one who means it.
    pub fn own_processes(&self) -> Vec<super::process::Process> {
        carrying(&self.marker)
    }

    /// Ends what the sandbox knows it has started: its fakes, and what carries its marker.
    fn end_processes(&self) {
        self.socket.others().iter().for_each(|peer| peer.kill());
        // Twice: a supervisor that was about to start something has then done so.
        for _ in 0..2 {
            carrying(&self.marker).iter().for_each(super::process::Process::kill);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_processes();
            if variable("LATTICE_TEST_KEEP").is_some() {
                let kept = self.directory.take().map(TempDir::keep);
                println!("kept: {kept:?}");
            }
            return;
        }
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("no process of the sandbox is left", self.patience, || {
                match self.processes() {
                    none if none.is_empty() => Ok(()),
                    left => Err(left.join("\n")),
                }
            });
        }));
        self.end_processes();
        if let Some(directory) = self.directory.take() {
            remove(&directory);
        }
        if let Err(panic) = left {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Directories that a test made unwritable are made writable first.
fn remove(directory: &TempDir) {
    let mut chmod = super::call::command("chmod");
    let status =
        chmod.args(["-R", "u+rwX"]).arg(directory.path()).status().expect("chmod is there");
    assert!(status.success(), "chmod of {}", directory.path().display());
    fs::remove_dir_all(directory.path()).expect("nothing writes into a finished sandbox");
}

fn environment(base: &Path, id: &str) -> Vec<(OsString, OsString)> {
    // First what a test installs, such as an engine.
    let mut path = OsString::from(base.join("bin"));
    path.push(":");
    path.push(binaries::directory());
    path.push(":");
    path.push(variable("PATH").expect("PATH is set"));
    let mut environment = vec![(OsString::from("PATH"), path)];
    let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
    set("HOME", base.join("home").into());
    set("TMPDIR", base.join("tmp").into());
    set("LC_ALL", "C.UTF-8".into());
    set("GIT_CONFIG_NOSYSTEM", "1".into());
    set("LATTICE_TEST_ID", id.into());
    // Only binaries that are built for the campaign know it.
    if let Some(control) = variable("LATTICE_CONTROL") {
        set("LATTICE_CONTROL", control);
    }
    environment
}

/// In memory if there is a tmpfs: the product syncs a lot, and the tests are about order, not about disks.
fn root() -> PathBuf {
    if let Some(given) = variable("LATTICE_TEST_DIR") {
        return given.into();
    }
    let memory = PathBuf::from("/dev/shm");
    let is_tmpfs = rustix::fs::statfs(&memory).is_ok_and(|found| found.f_type == TMPFS_MAGIC);
    let is_writable = rustix::fs::access(&memory, rustix::fs::Access::WRITE_OK).is_ok();
    if is_tmpfs && is_writable { memory } else { env::temp_dir() }
}

/// The pool that every project gets.
fn members_of_pools() -> Option<u64> {
    variable("LATTICE_TEST_POOL")?.to_str()?.parse().ok()
}
