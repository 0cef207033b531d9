//! A control group of a run's own (cgroups(7), the second version), below one that was delegated to whoever starts it:
//! there the kernel itself counts what `gauge` can only sample, and knows who belongs to it.
//!
//! A group is ours to divide if it carries the mark that systemd leaves on what it delegates (`Delegate=` of
//! systemd.resource-control(5)), if no other systemd divides it, and if no process is in it: a group has members or
//! limited groups below it.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access, getxattr};
use serde::{Deserialize, Serialize};

use super::tree::{Backoff, Swept};

const MOUNT: &str = "/sys/fs/cgroup";
/// Set by systemd for a user's manager, and for root's.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
const PREFIX: &str = "lattice-";
/// Where those go who are started in a run's group and are no part of that run.
const BESIDE: &str = "lattice-supervisors";

/// The group in which a run's can be made, or why there is none. Changes nothing.
pub fn delegated() -> Result<PathBuf, String> {
    let own = own().ok_or("this system has no control groups of the second version")?;
    let is_marked = |path: &&Path| MARKS.iter().any(|mark| has(path, mark));
    let base = own.ancestors().take_while(|path| path.starts_with(MOUNT)).find(is_marked);
    let base = base.ok_or("no control group is delegated to it (systemd: Delegate=yes)")?;
    let shown = base.display();
    let lacks = |name: &str| words(base, "cgroup.controllers").iter().all(|word| word != name);
    if let Some(name) = CONTROLLERS.into_iter().find(|name| lacks(name)) {
        return Err(format!("{shown} is delegated without the controller {name}"));
    }
    // The first thing that a systemd makes in what was delegated to it.
    if base.join("init.scope").exists() {
        return Err(format!("{shown} is delegated to a systemd, which divides it by itself"));
    }
    if !base.join("cgroup.kill").exists() {
        return Err("cgroup.kill is missing, which Linux 5.14 brought".to_owned());
    }
    if access(base.join("cgroup.procs"), Access::WRITE_OK).is_err() {
        return Err(format!("{shown} is delegated to somebody else"));
    }
    if !words(base, "cgroup.procs").is_empty() {
        return Err(format!("processes are in {shown} itself (systemd: DelegateSubgroup=)"));
    }
    Ok(base.to_owned())
}

fn has(path: &Path, mark: &str) -> bool {
    let mut value = [0_u8; 8];
    getxattr(path, mark, &mut value[..]).is_ok_and(|length| value[..length] == *b"1")
}

fn own() -> Option<PathBuf> {
    let groups = fs_err::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = Path::new(MOUNT).join(path);
    path.join("cgroup.procs").exists().then_some(path)
}

fn words(group: &Path, name: &str) -> Vec<String> {
    let text = fs_err::read_to_string(group.join(name)).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Out of the group of the run that has started us, if there is one: what becomes of that run is not our affair.
pub fn leave() {
    let Some(own) = own() else { return };
    let is_of_a_run = |name: &str| name.starts_with(PREFIX) && name != BESIDE;
    if !own.file_name().and_then(|name| name.to_str()).is_some_and(is_of_a_run) {
        return;
    }
    let beside = own.with_file_name(BESIDE);
    // Whoever finds it empty removes it, perhaps between these two.
    for _ in 0..8 {
        drop(fs_err::create_dir(&beside));
        if fs_err::write(beside.join("cgroup.procs"), "0").is_ok() {
            return;
        }
    }
}

/// One run's group. It need not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group(PathBuf);

impl Group {
    pub fn path_below(base: &Path, run: &str) -> PathBuf {
        base.join(format!("{PREFIX}{run}"))
    }

    /// Only what has this run's name: the path comes from a file.
    pub fn of(path: &Path, run: &str) -> Option<Self> {
        let parent = path.parent()?;
        let is_its_own = path == Self::path_below(parent, run);
        let goes_up = path.components().any(|part| part == Component::ParentDir);
        (is_its_own && path.starts_with(MOUNT) && !goes_up).then(|| Self(path.to_owned()))
    }

    pub fn exists(&self) -> bool {
        self.0.join("cgroup.procs").exists()
    }

    /// All or nothing. With swap, memory that is short would only be slow; and who is out of it is out as a whole.
    pub fn make(&self, memory: Option<u64>, processes: Option<u64>) -> io::Result<()> {
        let base = self.0.parent().unwrap_or(Path::new(MOUNT));
        fs_err::write(base.join("cgroup.subtree_control"), "+memory +pids")?;
        fs_err::create_dir(&self.0)?;
        self.limit(memory, processes).inspect_err(|_| self.remove())
    }

    fn limit(&self, memory: Option<u64>, processes: Option<u64>) -> io::Result<()> {
        let set = |name: &str, value: String| fs_err::write(self.0.join(name), value);
        if let Some(bytes) = memory {
            set("memory.max", bytes.to_string())?;
            set("memory.oom.group", "1".to_owned())?;
            // Only where the kernel swaps at all.
            if self.0.join("memory.swap.max").exists() {
                set("memory.swap.max", "0".to_owned())?;
            }
        }
        processes.map_or(Ok(()), |count| set("pids.max", count.to_string()))
    }

    pub fn admit(&self, pid: i32) -> io::Result<()> {
        fs_err::write(self.0.join("cgroup.procs"), pid.to_string())
    }

    /// Processes that were killed for want of memory.
    pub fn oom_kills(&self) -> u64 {
        self.count("memory.events", "oom_kill")
    }

    /// Forks that `pids.max` has refused.
    pub fn refused_forks(&self) -> u64 {
        self.count("pids.events", "max")
    }

    fn count(&self, file: &str, key: &str) -> u64 {
        let words = words(&self.0, file);
        let at = words.iter().position(|word| word == key);
        at.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or_default()
    }

    /// Kills whoever is still in it, also those who have shed everything else that gives a run's process away.
    pub fn end(
        &self,
        patience: Duration,
        pause: &mut dyn FnMut(Duration) -> io::Result<bool>,
    ) -> io::Result<Swept> {
        let mut swept = Swept::default();
        let begin = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            // No zombie is listed.
            let members: Vec<i32> =
                words(&self.0, "cgroup.procs").iter().filter_map(|pid| pid.parse().ok()).collect();
            if members.is_empty() {
                return Ok(swept);
            }
            if begin.elapsed() > patience {
                swept.survivors = members;
                return Ok(swept);
            }
            fs_err::write(self.0.join("cgroup.kill"), "1")?;
            swept.ended.extend(members);
            pause(backoff.next())?;
        }
    }

    /// What cannot be removed has a member that cannot be killed, and is gone with it at the next boot.
    pub fn remove(&self) {
        drop(fs_err::remove_dir(&self.0));
        drop(fs_err::remove_dir(self.0.with_file_name(BESIDE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_the_runs_own_is_no_group() {
        for (path, is_one) in [
            ("/sys/fs/cgroup/a/lattice-ev_1", true),
            ("/sys/fs/cgroup/a/lattice-ev_2", false),
            ("/sys/fs/cgroup/a", false),
            ("/sys/fs/cgroup/../../../tmp/lattice-ev_1", false),
            ("/tmp/lattice-ev_1", false),
            ("/", false),
        ] {
            assert_eq!(Group::of(Path::new(path), "ev_1").is_some(), is_one, "{path}");
        }
    }
}
