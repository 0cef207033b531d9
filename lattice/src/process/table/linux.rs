//! `/proc` (proc(5)). Every read may race with the death of its process: what is gone reads as `None`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Stat;

pub fn stat(pid: i32) -> Option<Stat> {
    let bytes = fs_err::read(entry(pid, "stat")).ok()?;
    Stat::parse(&String::from_utf8_lossy(&bytes))
}

/// Every process that this pid namespace shows.
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs_err::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

/// The direct children of a process. Threads have children of their own, so all of them are asked.
/// The kernel documents the list as unreliable while the children run: end only on `ECHILD`.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs_err::read_dir(entry(pid, "task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        let Ok(list) = fs_err::read_to_string(thread.path().join("children")) else {
            return children_by_scan(pid);
        };
        found.extend(list.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    found
}

/// For a kernel without CONFIG_PROC_CHILDREN.
fn children_by_scan(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|stat| stat.ppid == pid).map(|stat| stat.pid).collect()
}

/// Whether the environment that the process was started with has exactly this `NAME=value`.
pub fn carries(pid: i32, variable: &str) -> bool {
    fs_err::read(entry(pid, "environ")).is_ok_and(|environ| {
        environ.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    })
}

pub fn arguments(pid: i32) -> Vec<OsString> {
    let bytes = fs_err::read(entry(pid, "cmdline")).unwrap_or_default();
    bytes.split(|&byte| byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

pub fn cwd(pid: i32) -> Option<PathBuf> {
    fs_err::read_link(entry(pid, "cwd")).ok()
}

/// Whether the process holds an end of the pipe with this inode.
pub fn holds_pipe(pid: i32, inode: u64) -> bool {
    let wanted = format!("pipe:[{inode}]");
    let Ok(descriptors) = fs_err::read_dir(entry(pid, "fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        fs_err::read_link(descriptor.path())
            .is_ok_and(|link| link.as_os_str().as_bytes() == wanted.as_bytes())
    })
}

/// Whether a process other than this one is in, holds, or has mapped or mounted anything below a directory whose name
/// nothing else has. What may not be looked at is passed over: its processes are another user's.
pub fn is_used(name: &OsStr) -> bool {
    let mut needle = b"/".to_vec();
    needle.extend_from_slice(name.as_bytes());
    let has_name = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let leads_there = |path: PathBuf| {
        fs_err::read_link(path).is_ok_and(|target| has_name(target.as_os_str().as_bytes()))
    };
    let names_it = |path: PathBuf| {
        fs_err::read(path).is_ok_and(|text| text.split(|&byte| byte == b'\n').any(has_name))
    };
    let mut namespaces = BTreeSet::new();
    let others = all().into_iter().filter(|process| process.pid != own_pid());
    others.map(|process| process.pid).any(|pid| {
        let descriptors = fs_err::read_dir(entry(pid, "fd")).into_iter().flatten().flatten();
        // Of a process that may not be looked at it is not known, and then its table is read.
        let namespace = fs_err::read_link(entry(pid, "ns/mnt"));
        let is_new = namespace.map_or(true, |namespace| namespaces.insert(namespace));
        ["cwd", "root"].iter().any(|link| leads_there(entry(pid, link)))
            || descriptors.map(|descriptor| descriptor.path()).any(leads_there)
            || names_it(entry(pid, "maps"))
            || is_new && names_it(entry(pid, "mountinfo"))
    })
}

/// The owner of the process.
pub fn uid(pid: i32) -> Option<u32> {
    fs_err::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

/// Whether the process acts as another user than this one: it became a set-user-ID program.
pub fn acts_as_another(pid: i32) -> bool {
    let text = fs_err::read_to_string(entry(pid, "status")).unwrap_or_default();
    let effective = text
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok());
    effective.is_some_and(|uid: u32| uid != nix::unistd::Uid::effective().as_raw())
}

/// The short name of a process (proc_pid_comm(5), at most 15 bytes).
pub fn command_name(pid: i32) -> Option<String> {
    fs_err::read_to_string(entry(pid, "comm")).ok().map(|name| name.trim_end().to_owned())
}

/// Bytes that are the process's own, in memory or swapped out, pages that it shares with a fork included.
pub fn memory(pid: i32) -> u64 {
    sum(pid, "status", &["RssAnon:", "RssShmem:", "VmSwap:"])
}

/// The same with shared pages divided among those that share them; slow. What may not be asked counts in full.
pub fn exact_memory(pid: i32) -> u64 {
    match sum(pid, "smaps_rollup", &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"]) {
        0 => memory(pid),
        exact => exact,
    }
}

/// Of lines such as `RssAnon:  128 kB`.
fn sum(pid: i32, name: &str, keys: &[&str]) -> u64 {
    let text = fs_err::read_to_string(entry(pid, name)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        keys.contains(&words.next()?).then(|| words.next()?.parse::<u64>().ok())?
    });
    lines.sum::<u64>() * 1024
}

/// Inode of the pid namespace, or 0 where it may not be asked.
pub fn pid_namespace(pid: i32) -> u64 {
    fs_err::metadata(entry(pid, "ns/pid")).map_or(0, |metadata| metadata.ino())
}

/// Whether this process could see a process of that pid namespace if one were alive: its own namespace, or
/// any from the initial one, whose inode the kernel fixes as PROC_PID_INIT_INO (linux/proc_ns.h).
pub fn can_see_namespace(inode: u64) -> bool {
    const PROC_PID_INIT_INO: u64 = 0xEFFF_FFFC;
    let own = pid_namespace(own_pid());
    own == inode || own == PROC_PID_INIT_INO
}

/// Random per boot. Asked again where it cannot be read: who knew none would take every run for one of another boot,
/// and look for none of its processes.
pub fn boot_id() -> String {
    static KNOWN: OnceLock<String> = OnceLock::new();
    let read = || fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let known = KNOWN.get().cloned().or_else(|| (0..ATTEMPTS).find_map(|_| read()));
    known.map_or_else(String::new, |id| KNOWN.get_or_init(|| id.trim().to_owned()).clone())
}

const ATTEMPTS: usize = 10;

fn own_pid() -> i32 {
    nix::unistd::Pid::this().as_raw()
}

fn entry(pid: i32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}
