//! What must be as it was for a member to be as good as a fresh worktree.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::Place;
use crate::git::conversion;
use crate::git::index::Index;
use crate::model::run::PoolRules;
use crate::process::identity;

pub(super) const VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) version: u32,
    /// A crash of the machine may have taken back what the index saw.
    pub(super) boot_id: String,
    /// Seconds after the epoch.
    pub(super) put_at: u64,
    /// On the disk.
    pub(super) bytes: u64,
    pub(super) origin: Origin,
    /// Whose files these are, as far as they are there.
    pub(super) commit: String,
    /// Of the attribute files in its commit.
    pub(super) attributes: String,
    pub(super) place: Place,
}

/// What decides, beside the commit, what a checkout makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) conversion: String,
    pub(super) umask: u32,
    /// Device and inode of the repository.
    pub(super) repository: (u64, u64),
}

impl Facts {
    pub(super) fn is_usable(&self, rules: &PoolRules) -> bool {
        let put_at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.put_at);
        // One that was put in the future is as old as can be: its clock was another.
        let age = SystemTime::now().duration_since(put_at);
        self.version == VERSION
            && self.boot_id == identity::own().boot_id
            && age.is_ok_and(|age| age < Duration::from_millis(rules.max_age_ms))
    }
}

pub(super) fn attributes(index: &Index) -> String {
    let mut hash = Sha256::new();
    for (path, object) in index.entries().filter(|(path, _)| conversion::is_attributes(path)) {
        hash.update(path.len().to_le_bytes());
        hash.update(path);
        hash.update(object);
    }
    format!("{:x}", hash.finalize())
}
