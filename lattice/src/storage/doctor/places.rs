//! Where the files of all tasks are. Each directory is listed once, when somebody first asks whether a file is in it.

use crate::model::ids::TaskId;
use crate::storage::dir::Dir;
use crate::storage::layout::Layout;

pub(super) struct Places {
    pub(super) active: Side,
    pub(super) archive: Side,
}

/// Of the tasks that are in use, or of those in the archive.
pub(super) struct Side {
    pub(super) logs: Dir,
    pub(super) snapshots: Dir,
    pub(super) plans: Dir,
    pub(super) notes: Dir,
}

impl Places {
    pub(super) fn of(layout: &Layout) -> Self {
        let archive = layout.dir.join("archive");
        let active = Side {
            logs: Dir::at(layout.events()),
            snapshots: Dir::at(layout.tasks()),
            plans: Dir::at(layout.plans()),
            notes: Dir::at(layout.notes()),
        };
        let archive = Side {
            logs: Dir::at(layout.archive_events()),
            snapshots: Dir::at(layout.archive_tasks()),
            plans: Dir::at(archive.join("plans")),
            notes: Dir::at(archive.join("notes")),
        };
        Self { active, archive }
    }
}

/// Names of the files of a task.
pub(super) struct Names {
    pub(super) log: String,
    pub(super) snapshot: String,
    /// Of its plan and of its notes.
    pub(super) text: String,
}

impl Names {
    pub(super) fn of(task: &TaskId) -> Self {
        Self {
            log: task.file_name("jsonl"),
            snapshot: task.file_name("json"),
            text: task.file_name("md"),
        }
    }
}

/// A task, and where to look for it.
pub(super) struct Subject<'a> {
    pub(super) layout: &'a Layout,
    pub(super) dirs: &'a Places,
    pub(super) task: &'a TaskId,
    pub(super) names: Names,
}

impl<'a> Subject<'a> {
    pub(super) fn new(layout: &'a Layout, dirs: &'a Places, task: &'a TaskId) -> Self {
        Self { layout, dirs, task, names: Names::of(task) }
    }
}
