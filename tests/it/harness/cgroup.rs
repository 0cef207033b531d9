//! A control group with a small limit of memory, for a test that may make one (cgroups(7), either version).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use fs_err as fs;

use super::call::Call;
use super::waiting::{SOON, eventually};

/// Removed with its value: by then every process that was started in it has to have ended.
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// `Err` is the reason where none can be made.
    pub fn new(megabytes: u64) -> Result<Self, String> {
        let (parent, limit, swap) = controller()?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("lattice-test-{}-{number}", process::id()));
        fs::create_dir(&path).map_err(|error| error.to_string())?;
        let group = Self { path };
        let bytes = (megabytes << 20).to_string();
        fs::write(group.path.join(limit), &bytes).map_err(|error| error.to_string())?;
        // Where there is swap, memory that is short would only be slow.
        let (name, value) = swap;
        match fs::write(group.path.join(name), value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(group),
        }
    }

    /// The same call, made inside.
    pub fn inside(&self, call: Call) -> Call {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.path.display());
        call.through(["bash", "-c", &script, "bash"])
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let removed = catch_unwind(AssertUnwindSafe(|| {
            eventually("nobody is in the control group", SOON, || {
                fs::remove_dir(&self.path).map_err(|error| error.to_string())
            });
        }));
        if let Err(panic) = removed
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

type Knobs = (PathBuf, &'static str, (&'static str, &'static str));

/// Where a group can be made, what limits its memory, and what keeps it from swapping.
fn controller() -> Result<Knobs, String> {
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let path = |marker: &str| {
        let line = own.lines().find(|line| line.contains(marker))?;
        Some(line.splitn(3, ':').nth(2)?.trim_start_matches('/').to_owned())
    };
    let first = Path::new("/sys/fs/cgroup/memory");
    if let Some(path) = path(":memory:").filter(|_| first.is_dir()) {
        let own = first.join(path);
        let parent = if own.is_dir() { own } else { first.to_owned() };
        return Ok((parent, "memory.limit_in_bytes", ("memory.swappiness", "0")));
    }
    // A group with processes can have no limited children (cgroups(7), "no internal processes"): beside our own.
    let own = Path::new("/sys/fs/cgroup").join(path("0::").unwrap_or_default());
    let parent = own.parent().filter(|parent| parent.join("cgroup.subtree_control").is_file());
    let parent = parent.unwrap_or(Path::new("/sys/fs/cgroup"));
    let controllers = fs::read_to_string(parent.join("cgroup.subtree_control"));
    match controllers {
        Ok(text) if text.split_whitespace().any(|name| name == "memory") => {
            Ok((parent.to_owned(), "memory.max", ("memory.swap.max", "0")))
        }
        Ok(_) => Err(format!("no memory controller below {}", parent.display())),
        Err(error) => Err(error.to_string()),
    }
}

/// A group of the second version that is delegated as systemd does it, with another below it for the caller.
pub struct Delegated {
    pub base: PathBuf,
}

impl Delegated {
    /// `Err` is the reason where none can be made.
    pub fn new() -> Result<Self, String> {
        let mount = Path::new("/sys/fs/cgroup");
        let text = |error: io::Error| error.to_string();
        let controllers = fs::read_to_string(mount.join("cgroup.controllers")).map_err(text)?;
        for name in ["memory", "pids"] {
            if !controllers.split_whitespace().any(|word| word == name) {
                return Err(format!("no controller {name} of the second version"));
            }
        }
        fs::write(mount.join("cgroup.subtree_control"), "+memory +pids").map_err(text)?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = mount.join(format!("lattice-test-{}-{number}", process::id()));
        fs::create_dir(&base).map_err(text)?;
        let delegated = Self { base };
        fs::create_dir(delegated.main()).map_err(text)?;
        let flags = rustix::fs::XattrFlags::empty();
        let marked = rustix::fs::setxattr(&delegated.base, "user.delegate", b"1", flags);
        marked.map_err(|error| error.to_string())?;
        Ok(delegated)
    }

    fn main(&self) -> PathBuf {
        self.base.join("main")
    }

    /// The same call, made by somebody in the group below.
    pub fn inside(&self, call: Call) -> Call {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.main().display());
        call.through(["bash", "-c", &script, "bash"])
    }

    /// The names of the other groups below it.
    pub fn groups(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.base).expect("it is there").flatten();
        let directories = entries.filter(|entry| entry.path().is_dir());
        let names = directories.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "main").collect()
    }

    /// The group that a process is in, below this one.
    pub fn of(&self, pid: i32) -> String {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it is alive");
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/")).expect("a group");
        path.split_once('/').expect("a group below the other").1.to_owned()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let begin = std::time::Instant::now();
        while fs::remove_dir(self.main()).is_err() && begin.elapsed() < SOON {
            std::thread::yield_now();
        }
        let removed = fs::remove_dir(&self.base);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}: {:?}", self.groups());
    }
}
