//! What the kernel says of the OOM killer: how often it has struck in our control group (cgroups(7)).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How many it had killed at some moment; unknown where no memory controller says it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Toll(Option<u64>);

impl Toll {
    pub fn now() -> Self {
        Self(kills())
    }

    /// Whether it has struck since. The kernel counts a victim before it kills it.
    pub fn has_grown(self) -> bool {
        matches!((self.0, kills()), (Some(before), Some(now)) if now > before)
    }
}

/// Whether the kernel says here what it has killed for want of memory.
pub fn is_told() -> bool {
    kills().is_some()
}

fn kills() -> Option<u64> {
    let groups = fs_err::read_to_string("/proc/self/cgroup").ok()?;
    let files = groups.lines().flat_map(files);
    files.filter_map(|path| fs_err::read_to_string(path).ok()).find_map(|text| count(&text))
}

/// `HIERARCHY:CONTROLLERS:PATH`; the second version has no controllers in it. Inside a container the path may be
/// that of the host, and the group itself stand at the mount point.
fn files(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (mount, name) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.events"),
        "memory" => ("/sys/fs/cgroup/memory", "memory.oom_control"),
        _ => return Vec::new(),
    };
    let below = Path::new(mount).join(path.trim_start_matches('/'));
    vec![below.join(name), Path::new(mount).join(name)]
}

/// `oom_kill N`
fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups() {
        let v1 = files("4:memory:/a/b");
        assert_eq!(v1[0], Path::new("/sys/fs/cgroup/memory/a/b/memory.oom_control"));
        let v2 = files("0::/user.slice");
        assert_eq!(v2[0], Path::new("/sys/fs/cgroup/user.slice/memory.events"));
        assert_eq!(files("2:cpu:/"), Vec::<PathBuf>::new());
        assert_eq!(count("low 0\noom 2\noom_kill 3\noom_group_kill 4\n"), Some(3));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"), Some(0));
        assert_eq!(count("low 0\n"), None);
    }
}
