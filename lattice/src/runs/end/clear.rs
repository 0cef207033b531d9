//! E4: the worktree goes, or stays where the record says so. Its bytes go when nobody waits any more.

use super::sequence::End;
use crate::git::worktree;
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::run::Spec;
use crate::model::terminal::kept_worktree;
use crate::runs::allowance;
use crate::runs::examine::is_missing;
use crate::runs::pool::{self, Slot};
use crate::storage::{delete, replace};

/// Renamed first, so that what dies or is killed in the middle leaves only `.trash-`, which anybody may delete;
/// the administrative entry second, because without the tree it leads nowhere. Neither takes longer for a bigger tree.
///
/// The answer is the place in the pool to which it was renamed instead, if there is one.
pub(super) fn worktree(end: &End<'_>, record: &Event) -> Result<Option<Slot>> {
    let (Some(path), Some(common_dir)) = (&end.spec.worktree_path, &end.spec.git_dir) else {
        return Ok(None);
    };
    let entry = worktree::entry(common_dir, path)?;
    if kept_worktree(record).is_some() {
        let why =
            record.data().get("kept_because").and_then(|why| why.as_str()).unwrap_or("not saved");
        if let Some(entry) = entry {
            worktree::lock(&entry, &format!("lattice {} kept: {why}", end.spec.run_id))?;
        }
        return Ok(None);
    }
    let mut slot = None;
    if !is_missing(path)? {
        slot = end.pool.and_then(|checkout| checkout.slot(path));
        let to = slot.as_ref().map_or_else(|| delete::trash_name(path), Slot::tree);
        fs_err::rename(path, to)?;
        path.parent().map_or(Ok(()), replace::sync_dir)?;
    }
    if let Some(entry) = entry {
        worktree::remove_entry(&entry)?;
    }
    Ok(slot)
}

/// The sweeps have left nobody in it whom they could end.
pub(super) fn group(end: &End<'_>) {
    if let Some(group) = allowance::group(end.spec) {
        group.remove();
    }
}

/// The bytes of a run's worktree, once it is cleared. What cannot be deleted now is garbage that says so by its name.
pub(super) fn free(spec: &Spec) {
    if let Some(path) = &spec.worktree_path {
        drop(delete::delete_tree(&delete::trash_name(path)));
        pool::collect(path.parent().unwrap_or(path));
    }
}
