//! The one read-modify-write of a task.

use std::io;
use std::path::Path;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;
use serde_json::{Map, Value};

use super::read::{not_created, not_found, passed_over};
use crate::model::event::Event;
use crate::model::failure::{Failure, Result};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::model::reduce::{Snapshot, replay};
use crate::storage::append::{append_line, repair_tail};
use crate::storage::layout::Layout;
use crate::storage::lock::{self, Locks};
use crate::storage::log::{self, Known, Place};
use crate::storage::owner;
use crate::storage::replace::replace;
use crate::storage::scan;

/// A log that takes as long to understand as to be read once more. A longer one is read before it is locked, too.
const LONG: u64 = 32 * 1024;

/// A task under its locks, which are held until this is dropped. So be quick: no process, no git, no waiting.
#[derive(Debug)]
pub struct TaskTxn {
    pub(super) layout: Layout,
    pub(super) task: TaskId,
    pub(super) place: Place,
    pub(super) archived: bool,
    /// The log in use; where there are two, the active one first.
    pub(super) logs: Vec<File>,
    /// The log of all life cycles, in a transaction that may write it.
    lifecycle: Option<File>,
    // Behind the files, which are closed before another process comes in, and before a history that takes its time to be
    // forgotten.
    _locks: Locks,
    pub(super) events: Vec<Event>,
    /// How many lines of the log are no events.
    unreadable: usize,
    pub(super) snapshot: Snapshot,
}

impl TaskTxn {
    /// Locks the task, repairs its log and replays it. `NOT_FOUND` if there is no log anywhere.
    pub fn begin(layout: &Layout, task: &TaskId) -> Result<Self> {
        Self::begin_with(layout, task, &lock::task_keys(task), false)
    }

    /// The same for a write that archives or unarchives.
    pub fn begin_lifecycle(layout: &Layout, task: &TaskId) -> Result<Self> {
        Self::begin_with(layout, task, &lock::lifecycle_keys(task), true)
    }

    fn begin_with(
        layout: &Layout,
        task: &TaskId,
        keys: &[String],
        lifecycle: bool,
    ) -> Result<Self> {
        // Before anything is made or locked: a mistyped ID leaves nothing behind.
        let (place, length) = log::measure(layout, task)?;
        if place == Place::Nowhere {
            return Err(not_found(task.as_str()));
        }
        // One of those that git keeps in no clone. What is lost later is made where it is missed.
        if lifecycle || !layout.locks().is_dir() {
            layout.ensure_dirs()?;
        }
        let known = if length < LONG { Known::default() } else { Known::read(layout, task, place) };
        let locks = lock::acquire(layout, keys)?;
        Self::open_known(layout, task, lifecycle, locks, known)
    }

    /// `locks` are the task's, and those of the life-cycle log where that is to be written.
    pub(in crate::storage) fn open(
        layout: &Layout,
        task: &TaskId,
        lifecycle: bool,
        locks: Locks,
    ) -> Result<Self> {
        Self::open_known(layout, task, lifecycle, locks, Known::default())
    }

    fn open_known(
        layout: &Layout,
        task: &TaskId,
        lifecycle: bool,
        locks: Locks,
        known: Known,
    ) -> Result<Self> {
        let place = log::locate(layout, task)?;
        let paths = match place {
            Place::Active => vec![layout.log(task)],
            Place::Archived => vec![layout.archived_log(task)],
            Place::Both => vec![layout.log(task), layout.archived_log(task)],
            Place::Nowhere => return Err(not_found(task.as_str())),
        };
        let (mut logs, mut contents) = (Vec::new(), Vec::new());
        for path in &paths {
            let (log, content) = open_log(layout, path)?;
            logs.push(log);
            contents.push(content);
        }
        if let [active, archived] = &contents[..] {
            let merged = log::merge(active, archived);
            heal(&mut logs, &contents, &merged)?;
            contents = vec![merged];
        }
        let events = known.events_of(&contents[0]);
        let unreadable = log::count(&contents[0]) - events.len();
        let snapshot = replay(&events).ok_or_else(|| not_created(layout, task))?;
        let lifecycle = if lifecycle { Some(open_lifecycle(layout)?) } else { None };
        let archived = log::is_archived(place, &events);
        let (layout, task) = (layout.clone(), task.clone());
        Ok(Self {
            layout,
            task,
            place,
            archived,
            logs,
            lifecycle,
            events,
            unreadable,
            snapshot,
            _locks: locks,
        })
    }

    /// Where the log was found.
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn is_archived(&self) -> bool {
        self.archived
    }

    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The state after the last event.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// A sentence, if there are lines that are no events.
    pub fn warning(&self) -> Option<String> {
        passed_over(&self.snapshot, self.unreadable)
    }

    /// Appends one synced line; never creates a log. On an error nothing has been appended.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        self.append_all(std::slice::from_ref(event))
    }

    /// The same for events that belong together: one write, so that all of them are there, or none.
    pub fn append_all(&mut self, events: &[Event]) -> Result<()> {
        let lines: Vec<String> = events.iter().map(Event::line).collect();
        self.append_lines(&lines, events.to_vec())
    }

    /// Appends a stored event line as it is, with or without its line end.
    pub fn append_raw(&mut self, line: &str) -> Result<()> {
        let line = line.trim_end_matches(['\r', '\n']);
        let event = Event::parse(line.as_bytes()).filter(|_| !line.contains('\n'));
        let event = event.ok_or_else(|| {
            Failure::internal("what should be appended to an event log is not one event")
        })?;
        self.append_lines(&[format!("{line}\n")], vec![event])
    }

    fn append_lines(&mut self, lines: &[String], events: Vec<Event>) -> Result<()> {
        let all = lines.concat().into_bytes();
        let of_lifecycle = lines.iter().zip(&events).filter(|(_, event)| event.is_lifecycle());
        let of_lifecycle: String = of_lifecycle.map(|(line, _)| line.as_str()).collect();

        let (first, copies) =
            self.logs.split_first_mut().expect("a transaction has at least one log");
        let before = first.metadata()?.len();
        append_line(first, &all)?;
        if !of_lifecycle.is_empty()
            && let Err(error) = append_lifecycle(self.lifecycle.as_mut(), of_lifecycle.as_bytes())
        {
            first.set_len(before)?;
            first.sync_data()?;
            return Err(error);
        }
        for copy in copies {
            // The events stand in the first log already; the next writer brings a copy that lags up to date.
            drop(append_line(copy, &all));
        }
        self.events.extend(events);
        self.snapshot = replay(&self.events)
            .expect("the log began with a task_created before the lines were added");
        Ok(())
    }

    /// Replaces the snapshot by the replayed one; unknown keys of the old one are kept.
    pub fn write_snapshot(&self) -> Result<()> {
        let path = if self.archived {
            self.layout.archived_snapshot(&self.task)
        } else {
            self.layout.snapshot(&self.task)
        };
        let old = scan::read(&path).unwrap_or_default();
        // Then there is no key that is unknown.
        if self.snapshot.is_in_file(&old) {
            return Ok(());
        }
        let new = with_unknown_keys(&self.snapshot, &old).file_text();
        if old != new.as_bytes() {
            self.replace_snapshot(&path, new.as_bytes())?;
        }
        Ok(())
    }

    /// Git takes a directory away with the last file in it.
    fn replace_snapshot(&self, path: &Path, content: &[u8]) -> Result<()> {
        match replace(path, content) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.layout.ensure_dirs()?;
                Ok(replace(path, content)?)
            }
            other => Ok(other?),
        }
    }
}

/// The repaired log and its content. Never creates: a new log beside an archived one would replace its history at the next archiving.
pub(in crate::storage) fn open_log(layout: &Layout, path: &Path) -> Result<(File, Vec<u8>)> {
    let mut options = fs_err::OpenOptions::new();
    let mut file = options
        .read(true)
        .append(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    let mut content = log::rest_of(&mut file)?;
    if !content.is_empty() && !content.ends_with(b"\n") {
        repair_tail(&mut file, &layout.torn_tails())?;
        content = log::whole(path)?;
    }
    Ok((file, content))
}

/// Makes both logs of a task whole, so that whichever of them a later archiving puts over the other, nothing goes.
fn heal(logs: &mut [File], contents: &[Vec<u8>], merged: &[u8]) -> Result<()> {
    for (log, content) in logs.iter_mut().zip(contents) {
        if content != merged {
            let path = log.path().to_owned();
            replace(&path, merged)?;
            *log = fs_err::OpenOptions::new().read(true).append(true).open(path)?;
        }
    }
    Ok(())
}

pub(super) fn open_lifecycle(layout: &Layout) -> Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o666);
    let mut file =
        options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(layout.lifecycle_log())?;
    owner::inherit(file.file(), &layout.lifecycle_log());
    repair_tail(&mut file, &layout.torn_tails())?;
    Ok(file)
}

fn append_lifecycle(log: Option<&mut File>, line: &[u8]) -> Result<()> {
    let log = log.ok_or_else(|| {
        Failure::internal("a life-cycle event in a transaction without the life-cycle lock")
    })?;
    append_line(log, line).map_err(Failure::from)
}

/// Keys that a replay leaves out on purpose are not unknown.
pub(in crate::storage) fn with_unknown_keys(replayed: &Snapshot, old: &[u8]) -> Snapshot {
    let mut fields = match json::parse_line(old) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for known in ["short_id", "active_processes"] {
        fields.remove(known);
    }
    fields.extend(replayed.0.clone());
    Snapshot(fields)
}
