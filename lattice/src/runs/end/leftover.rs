//! What a run that is over leaves on the disk: garbage by its names, freed when nobody waits for it.

use super::clear;
use crate::model::run::Spec;
use crate::process::helper::Helpers;
use crate::runs::directory::{LifeLock, RunDir, Take};
use crate::runs::pool::Slot;
use crate::storage::delete;

/// The directory, renamed, and what it leads to.
#[derive(Debug)]
#[must_use]
pub struct Leftover {
    /// Absent where nothing can be read of it any more.
    spec: Option<Box<Spec>>,
    old: RunDir,
    slot: Option<Box<Slot>>,
}

impl Leftover {
    pub(super) fn of(spec: &Spec, old: RunDir) -> Self {
        Self { spec: Some(Box::new(spec.clone())), old, slot: None }
    }

    /// Of a run that never was one.
    pub fn nothing(old: RunDir) -> Self {
        Self { spec: None, old, slot: None }
    }

    pub(super) fn with(self, slot: Option<Slot>) -> Self {
        Self { slot: slot.map(Box::new), ..self }
    }

    /// Left by whoever was killed while freeing it, and its lock, which others wait for. `None`: somebody is freeing
    /// it now, or it is not ours.
    fn found(old: RunDir) -> Option<(Self, Option<LifeLock>)> {
        match old.take() {
            Ok(Take::Taken(life)) => {
                let spec = old.spec().ok().map(Box::new);
                Some((Self { spec, old, slot: None }, Some(life)))
            }
            Ok(Take::Gone) => Some((Self::nothing(old), None)),
            Ok(Take::Held | Take::NotOurs) | Err(_) => None,
        }
    }

    /// Whether its worktree may be kept for another run, which takes git.
    pub fn is_kept(&self) -> bool {
        self.slot.is_some()
    }

    /// The worktree before the directory that leads to it: cut off anywhere, the next call of anybody goes on.
    pub fn free(self, helpers: Option<&mut dyn Helpers>) {
        if let (Some(slot), Some(spec), Some(helpers)) = (self.slot, &self.spec, helpers) {
            slot.fill(spec, helpers);
        }
        if let Some(spec) = &self.spec {
            clear::free(spec);
        }
        drop(delete::delete_tree(self.old.path()));
    }
}

/// Frees what a kill has left, unless somebody is at it.
pub fn collect(old: RunDir) {
    if let Some((leftover, _life)) = Leftover::found(old) {
        leftover.free(None);
    }
}
