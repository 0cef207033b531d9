//! A small disk with a project on it, which a test can fill without harm to anybody else.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::binaries;
use super::call::Call;
use super::namespace::Namespace;
use super::sandbox::{ACTOR, Sandbox};

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
