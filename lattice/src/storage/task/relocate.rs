//! Moving a task into the archive and out of it: the new place is whole before anything leaves the old one.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::txn::{TaskTxn, with_unknown_keys};
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::ids::TaskId;
use crate::model::reduce::{Snapshot, replay};
use crate::storage::append::set_aside;
use crate::storage::layout::Layout;
use crate::storage::log;
use crate::storage::replace::{Prepared, replace, sync_dir};
use crate::storage::scan;

/// A task that has moved.
#[derive(Debug, Clone)]
pub struct Relocated {
    pub snapshot: Snapshot,
    /// Why the move could not be finished after its event had been recorded. `settle` goes on with it.
    pub unfinished: Option<String>,
}

/// One of the two places of a task.
struct Side {
    log: PathBuf,
    snapshot: PathBuf,
    texts: [PathBuf; 2],
}

impl Side {
    fn of(layout: &Layout, task: &TaskId, archive: bool) -> Self {
        if archive {
            Self {
                log: layout.archived_log(task),
                snapshot: layout.archived_snapshot(task),
                texts: [layout.archived_plan(task), layout.archived_note(task)],
            }
        } else {
            Self {
                log: layout.log(task),
                snapshot: layout.snapshot(task),
                texts: [layout.plan(task), layout.note(task)],
            }
        }
    }
}

/// Log and snapshot of the new place, on disk already but for their names.
struct Arrival {
    log: Prepared,
    snapshot: Prepared,
}

impl TaskTxn {
    /// Whether the log says that the task is archived, wherever it is now.
    pub fn belongs_in_archive(&self) -> bool {
        log::belongs_in_archive(self.place, &self.events)
    }

    /// Records the event of a move into the archive or out of it, and moves the task.
    ///
    /// What takes room is written before the event, so that a full disk refuses the move as a whole. Then: both
    /// logs; the log in its new place; the snapshot there; the old snapshot; the old log; notes and plan. A crash
    /// leaves the task in both places, or in the old one with the event; either is told by the log, and the next
    /// `relocate` or `settle` goes on.
    pub fn relocate(mut self, archive: bool, event: &Event) -> Result<Relocated> {
        let (from, to) = self.sides(archive);
        for left in [&from.log, &from.snapshot] {
            may_remove(left)?;
        }
        let arrival = self.prepare(&from, &to, Some(event))?;
        self.append(event)?;
        let moved = arrival.publish().and_then(|()| self.leave(&from, &to));
        let unfinished = moved.err().map(|error| error.to_string());
        Ok(Relocated { snapshot: self.snapshot, unfinished })
    }

    /// Finishes a move that was cut off, and takes away copies of the snapshot that are in the wrong place.
    pub fn settle(&mut self) -> Result<()> {
        let archive = self.belongs_in_archive();
        let (from, to) = self.sides(archive);
        if self.logs.iter().any(|log| log.path() == from.log) {
            self.prepare(&from, &to, None)?.publish()?;
        }
        self.archived = archive;
        self.write_snapshot()?;
        Ok(self.leave(&from, &to)?)
    }

    /// Whether the task is where its log says, and nothing of it is left in the other place.
    pub fn is_settled(&self) -> bool {
        let (from, _) = self.sides(self.belongs_in_archive());
        let [plan, note] = &from.texts;
        [&from.log, &from.snapshot, plan, note].iter().all(|path| !path.exists())
    }

    /// The snapshot as the log alone gives it: keys that no event has set are gone.
    pub fn rewrite_snapshot(&self) -> Result<()> {
        let path = Side::of(&self.layout, &self.task, self.archived).snapshot;
        if scan::look_into(&path, |bytes| self.snapshot.is_in_file(bytes)).unwrap_or(false) {
            return Ok(());
        }
        Ok(replace(&path, self.snapshot.file_text().as_bytes())?)
    }

    /// The place that is left, and the one that the task goes to.
    fn sides(&self, archive: bool) -> (Side, Side) {
        let side = |archive| Side::of(&self.layout, &self.task, archive);
        (side(!archive), side(archive))
    }

    fn prepare(&self, from: &Side, to: &Side, event: Option<&Event>) -> Result<Arrival> {
        let content = fs_err::read(self.logs[0].path())?;
        let line = event.map(Event::line).unwrap_or_default();
        let log = Prepared::new(&to.log, self.logs[0].path(), |file| {
            file.write_all(&content)?;
            file.write_all(line.as_bytes())
        })?;
        let old = [&to.snapshot, &from.snapshot].into_iter().find(|path| path.exists());
        let state = replay(self.events.iter().chain(event))
            .expect("a log that begins with task_created still does with one event more");
        let bytes = old.map(fs_err::read).transpose()?.unwrap_or_default();
        let text = with_unknown_keys(&state, &bytes).file_text();
        let snapshot = Prepared::new(&to.snapshot, old.unwrap_or(&to.snapshot), |file| {
            file.write_all(text.as_bytes())
        })?;
        Ok(Arrival { log, snapshot })
    }

    /// Empties the old place.
    fn leave(&self, from: &Side, to: &Side) -> io::Result<()> {
        remove(&from.snapshot)?;
        remove(&from.log)?;
        for (old, new) in from.texts.iter().zip(&to.texts) {
            move_text(old, new, &self.layout.torn_tails())?;
        }
        Ok(())
    }
}

impl Arrival {
    fn publish(self) -> io::Result<()> {
        self.log.publish()?;
        self.snapshot.publish()
    }
}

/// A directory that cannot be changed is found before the event is written.
fn may_remove(path: &Path) -> io::Result<()> {
    let parent = path.parent().expect("a file of a task has a directory");
    rustix::fs::access(parent, Access::WRITE_OK).map_err(|error| {
        let error = io::Error::from(error);
        let why = format!("failed to remove anything from `{}`: {error}", parent.display());
        io::Error::new(error.kind(), why)
    })
}

fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(()) => sync_parent(path),
        other => other,
    }
}

/// Notes and plans are written by hand: one that is in the way is kept under another name.
fn move_text(old: &Path, new: &Path, side_dir: &Path) -> io::Result<()> {
    let text = match fs_err::read(old) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match fs_err::read(new) {
        Ok(there) if there != text => set_aside(new, side_dir, 0, &there)?,
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs_err::rename(old, new)?;
    sync_parent(new)?;
    sync_parent(old)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(path.parent().expect("a file of a task has a directory"))
}
