//! Who a process is, beyond its number.

use nix::unistd::{Pid, getpgrp};

use super::table;
use crate::model::run::Identity;

/// What has become of a recorded process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Alive,
    /// Dead, a zombie, or the number belongs to somebody else now.
    Gone,
    /// In another pid namespace: its number means nothing here.
    Invisible,
}

pub fn own() -> Identity {
    of(Pid::this().as_raw()).unwrap_or_else(|| Identity {
        pid: Pid::this().as_raw(),
        start_ticks: 0,
        boot_id: table::boot_id(),
        pid_namespace: 0,
        pgid: getpgrp().as_raw(),
    })
}

pub fn of(pid: i32) -> Option<Identity> {
    let stat = table::stat(pid)?;
    Some(Identity {
        pid,
        start_ticks: stat.start_ticks,
        boot_id: table::boot_id(),
        pid_namespace: table::pid_namespace(pid),
        pgid: stat.pgid,
    })
}

pub fn presence(identity: &Identity) -> Presence {
    if identity.boot_id != table::boot_id() {
        return Presence::Gone;
    }
    if identity.pid_namespace != table::pid_namespace(Pid::this().as_raw()) {
        return Presence::Invisible;
    }
    match table::stat(identity.pid) {
        Some(stat) if stat.start_ticks == identity.start_ticks && !stat.is_dead() => {
            Presence::Alive
        }
        _ => Presence::Gone,
    }
}
