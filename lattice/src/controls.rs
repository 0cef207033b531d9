//! Mistakes on purpose, by which the fault campaign proves that it would find them. Only a build with feature
//! `controls` can make them; in any other `is` is the constant `false`, and nothing of them is left.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The engine inherits the life lock.
    LeakedLock,
    /// For as long as the worktree is being made, nothing on disk says where it is.
    LateIntent,
    /// Only the leader's group is ended.
    GroupKill,
    /// The leader is reaped before its group is killed.
    EarlyReap,
    /// The record is published by a rename, which replaces.
    Replace,
}

#[cfg(not(feature = "controls"))]
pub const fn is(_control: Control) -> bool {
    false
}

/// The variable reaches the supervisors as the caller's whole environment does.
#[cfg(feature = "controls")]
#[expect(clippy::disallowed_methods, reason = "a build for the campaign, which nobody else has")]
pub fn is(control: Control) -> bool {
    std::env::var_os("LATTICE_CONTROL").is_some_and(|name| name == format!("{control:?}").as_str())
}
