//! E4: the worktree goes, or stays where the record says so.

use std::path::Path;

use super::sequence::End;
use crate::git::worktree;
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::terminal::kept_worktree;
use crate::runs::allowance;
use crate::runs::examine::is_missing;
use crate::storage::{delete, replace};

/// Renamed first, so that what dies or is killed in the middle leaves only `.trash-`, which anybody may delete;
/// the administrative entry second, because without the tree it leads nowhere; the bytes last.
pub(super) fn worktree(end: &End<'_>, record: &Event) -> Result<()> {
    let (Some(path), Some(common_dir)) = (&end.spec.worktree_path, &end.spec.git_dir) else {
        return Ok(());
    };
    let entry = worktree::entry(common_dir, path)?;
    if kept_worktree(record).is_some() {
        let why =
            record.data().get("kept_because").and_then(|why| why.as_str()).unwrap_or("not saved");
        if let Some(entry) = entry {
            worktree::lock(&entry, &format!("lattice {} kept: {why}", end.spec.run_id))?;
        }
        return Ok(());
    }
    let trash = delete::trash_name(path);
    if !is_missing(path)? {
        fs_err::rename(path, &trash)?;
        path.parent().map_or(Ok(()), replace::sync_dir)?;
    }
    if let Some(entry) = entry {
        worktree::remove_entry(&entry)?;
    }
    discard(&trash);
    Ok(())
}

/// The sweeps have left nobody in it whom they could end.
pub(super) fn group(end: &End<'_>) {
    if let Some(group) = allowance::group(end.spec) {
        group.remove();
    }
}

/// What cannot be deleted now is garbage that says so by its name.
fn discard(trash: &Path) {
    if fs_err::symlink_metadata(trash).is_ok() {
        drop(delete::delete_tree(trash));
    }
}
