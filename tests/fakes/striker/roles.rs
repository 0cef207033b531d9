//! Which of the product's processes one is.

use fs_err as fs;
use nix::unistd::Pid;

/// A process by the program that it runs, and its child (or thread) that is not yet another program.
const ROLES: [(&str, &str); 12] = [
    ("cli", "cli'"),
    ("stage0", "stage0'"),
    ("warden", "warden'"),
    ("shim", "shim'"),
    // In their second images.
    ("warden-waits", "warden-waits'"),
    ("shim-waits", "shim-waits'"),
    ("gate", "gate'"),
    ("helper", "helper'"),
    ("finish", "finish'"),
    ("debug", "debug'"),
    ("other", "other'"),
    ("new", "new'"),
];

pub fn named(name: &str) -> Option<&'static str> {
    let mut all = ROLES.iter().flat_map(|(role, child)| [*role, *child]);
    all.find(|role| *role == name)
}

/// The role of a process that one of this role forks.
pub fn child(role: &'static str) -> &'static str {
    ROLES.iter().find(|(known, _)| *known == role).map_or(role, |(_, child)| child)
}

/// By its command line; `None`: it is none of the product.
pub fn of(pid: Pid) -> Option<&'static str> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut parts = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = parts.next()?;
    match program.rsplit('/').next()? {
        "lattice" => Some("cli"),
        "lattice-shim" | "exe" => {
            let role = parts.next()?;
            let waits = parts.next().is_some_and(|word| word == "waits");
            let role = if waits { format!("{role}-waits") } else { role.into_owned() };
            Some(named(&role).unwrap_or("other"))
        }
        _ => None,
    }
}

pub fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
