//! A small disk with a project on it, which a test can fill without harm to anybody else.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use super::binaries::{self, variable};
use super::call::Call;
use super::namespace::Namespace;
use super::sandbox::{ACTOR, Sandbox};
use super::waiting::skipped;

/// Paths are as the processes inside see them; [`Disk::seen`] is the test's own view.
pub struct Disk<'a> {
    outer: &'a Sandbox,
    namespace: Namespace,
    pub root: PathBuf,
    pub project: PathBuf,
}

impl<'a> Disk<'a> {
    /// A repository with a commit, and `.lattice` with task `LAT-1`, on a tmpfs of this size. `Err` is the
    /// reason where nothing can be mounted.
    pub fn new(outer: &'a Sandbox, size: &str) -> Result<Self, String> {
        let root = outer.base.join("disk");
        fs_err::create_dir(&root).expect("the sandbox is writable");
        let namespace = Namespace::new(
            outer,
            &format!("mount -t tmpfs -o size={size} tmpfs {}", root.display()),
        )?;
        let project = root.join("project");
        namespace.inside(outer.program(["mkdir", "project"]), &root).run().ok();
        let disk = Self { outer, namespace, root, project };
        disk.shell("git init -q -b main && git config user.name Ana && git config user.email ana@example.org").run().ok();
        disk.lattice(&["init", "--project-code", "LAT", "--actor", ACTOR]).run().ok();
        disk.lattice(&["create", "Task", "--actor", ACTOR]).run().ok();
        disk.shell("mkdir workers && git add -A && git commit -q -m Begin").run().ok();
        Ok(disk)
    }

    pub fn shell(&self, script: &str) -> Call {
        self.namespace.inside(self.outer.program(["bash", "-c", script]), &self.project)
    }

    pub fn lattice(&self, arguments: &[&str]) -> Call {
        let binary = binaries::lattice().into_os_string();
        let argv = [binary].into_iter().chain(arguments.iter().map(Into::into));
        self.namespace.inside(self.outer.program(argv), &self.project)
    }

    pub fn define(&self, name: &str, definition: &Value) {
        let mut definition = definition.clone();
        definition["name"] = json!(name);
        let script = format!("cat > workers/{}.json", name.to_lowercase());
        self.shell(&script).input(definition.to_string()).run().ok();
        self.shell("git add -A && git commit -q -m Define").run().ok();
    }

    pub fn seen(&self, inside: &Path) -> PathBuf {
        self.namespace.path(inside)
    }
}

/// The disk on which every sandbox of this process is.
pub struct SmallDisk {
    root: PathBuf,
}

/// Runs a test on a small disk: in a copy of this process, which has that disk and its own user for itself.
#[track_caller]
pub fn on_small_disk(test: &str, options: &str, body: impl FnOnce(&SmallDisk)) {
    if let Some(root) = variable("LATTICE_TEST_DISK") {
        return body(&SmallDisk { root: root.into() });
    }
    let outer = Sandbox::empty();
    let root = outer.base.join("d");
    fs::create_dir(&root).expect("the sandbox is writable");
    let mount = format!("mount -t tmpfs -o {options} tmpfs {}", root.display());
    let probe = outer.program(["unshare", "-Urm", "bash", "-c", &mount]).run();
    if probe.code != Some(0) {
        return skipped(test, &format!("unshare -Urm: {}", probe.stderr.trim()));
    }
    let copy = std::env::current_exe().expect("a test knows its program");
    let script = format!("{mount} && exec \"$0\" --exact {test} --nocapture");
    let call = outer.program(["unshare", "-Urm", "bash", "-c", &script]).arg(copy);
    let settings = [
        ("LATTICE_TEST_DISK", root.clone()),
        ("LATTICE_TEST_DIR", root),
        // What strace tells must not fall victim to the disk.
        ("LATTICE_TEST_TRACE", outer.base.join("trace")),
    ];
    let call = settings.into_iter().fold(call, |call, (name, value)| call.env(name, value));
    let call = call.env("LATTICE_BIN_DIR", binaries::directory());
    let campaign = variable("LATTICE_TEST_CAMPAIGN").unwrap_or_default();
    let finished = call.env("LATTICE_TEST_CAMPAIGN", campaign).run();
    assert!(finished.code == Some(0) && finished.stdout.contains("1 passed"), "{finished}");
    print!("{}", finished.stdout);
}

impl SmallDisk {
    /// Takes every inode and every block that is left; again what has become free since.
    pub fn fill(&self) {
        let filler = self.root.join("filler");
        fs::create_dir_all(&filler).expect("it was not full");
        let file =
            |name: &str| fs::OpenOptions::new().append(true).create(true).open(filler.join(name));
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        let mut blocks = file("blocks").expect("it was not full");
        let count = fs::read_dir(&filler).expect("it is there").count();
        let full = (count..).find_map(|name| file(&name.to_string()).err());
        assert!(full.as_ref().is_some_and(is_full), "{full:?}");
        let full = std::iter::repeat_with(|| blocks.write_all(&[b'x'; 4096])).find_map(Result::err);
        assert!(full.as_ref().is_some_and(is_full), "{full:?}");
    }

    pub fn free(&self) {
        fs::remove_dir_all(self.root.join("filler")).expect("it was filled");
    }
}
