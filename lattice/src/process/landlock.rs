//! Confines a process, and all that it starts, to writing below some paths (landlock(7)). Reading, the network, and the
//! modes, owners and times of files stay as they are.

use std::io;
use std::path::Path;

/// Without these almost nothing works, and writing to them changes nothing.
#[cfg(target_os = "linux")]
const DEVICES: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// Earlier ones (before Linux 6.2) do not keep files from being truncated.
#[cfg(target_os = "linux")]
const LEAST: landlock::ABI = landlock::ABI::V3;

/// Whether this kernel can, as it is configured.
#[cfg(target_os = "linux")]
pub fn check() -> io::Result<()> {
    rules().map(drop).map_err(io::Error::other)
}

/// For good: nothing takes it back. A path that is not there is an error, and one that is a file stands for itself.
#[cfg(target_os = "linux")]
pub fn write_only_below<P: AsRef<Path>>(paths: &[P]) -> io::Result<()> {
    use landlock::RulesetStatus;
    let status = restrict(paths).map_err(io::Error::other)?;
    if status.ruleset == RulesetStatus::FullyEnforced {
        return Ok(());
    }
    Err(io::Error::other("the kernel enforces a part of it only"))
}

#[cfg(target_os = "linux")]
fn restrict<P: AsRef<Path>>(
    paths: &[P],
) -> Result<landlock::RestrictionStatus, Box<dyn std::error::Error + Send + Sync>> {
    use landlock::{PathFd, RulesetCreatedAttr, path_beneath_rules};
    let mut rules = rules()?.add_rules(path_beneath_rules(DEVICES, writing()))?;
    for path in paths {
        PathFd::new(path)?;
        rules = rules.add_rules(path_beneath_rules([path], writing()))?;
    }
    Ok(rules.restrict_self()?)
}

#[cfg(target_os = "linux")]
fn rules() -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    use landlock::{CompatLevel, Compatible, Ruleset, RulesetAttr};
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(writing())?.create()
}

#[cfg(target_os = "linux")]
fn writing() -> landlock::BitFlags<landlock::AccessFs> {
    landlock::AccessFs::from_write(LEAST)
}

#[cfg(not(target_os = "linux"))]
pub fn check() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub fn write_only_below<P: AsRef<Path>>(_paths: &[P]) -> io::Result<()> {
    check()
}
