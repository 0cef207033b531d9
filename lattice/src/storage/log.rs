//! Reading a task's log: where it is, its lines in file order, and one history out of two copies.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

use fs_err::File;

use super::layout::Layout;
use crate::model::event::{Event, TASK_ARCHIVED, TASK_CREATED, TASK_UNARCHIVED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::line::{Line, Told};

/// What most logs fit into.
const GUESS: usize = 8 * 1024;

/// Where a task's log is. Both: an archiving that was interrupted, or a git merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Active,
    Archived,
    Both,
    Nowhere,
}

/// Looks at both places. A log that is not a regular file is an error.
pub fn locate(layout: &Layout, task: &TaskId) -> Result<Place> {
    Ok(measure(layout, task)?.0)
}

/// The same, and how many bytes there are.
pub(super) fn measure(layout: &Layout, task: &TaskId) -> Result<(Place, u64)> {
    Ok(match (length(&layout.log(task))?, length(&layout.archived_log(task))?) {
        (Some(active), Some(archived)) => (Place::Both, active + archived),
        (Some(active), None) => (Place::Active, active),
        (None, Some(archived)) => (Place::Archived, archived),
        (None, None) => (Place::Nowhere, 0),
    })
}

/// Of a log, if there is one.
fn length(path: &Path) -> Result<Option<u64>> {
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(Failure::new(
            Code::IoError,
            format!("the event log `{}` is not a regular file", path.display()),
        )
        .hint(
            "put the log itself in its place: a link or a directory there cannot be written safely",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(Code::IoError, error.to_string())),
    }
}

/// A task's events, merged where there are two logs.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub place: Place,
    pub archived: bool,
    pub events: Vec<Event>,
    /// How many lines are no events, and were passed over.
    pub unreadable: usize,
}

/// Reads a task's history without a lock; `None` if there is no log.
pub fn read_history(layout: &Layout, task: &TaskId) -> Result<Option<History>> {
    // A log that is being archived or unarchived may be missed in both places once.
    for _ in 0..3 {
        locate(layout, task)?;
        let (active, archived) =
            (content(&layout.log(task))?, content(&layout.archived_log(task))?);
        let (place, bytes) = match (active, archived) {
            (Some(active), Some(archived)) => (Place::Both, merge(&active, &archived)),
            (Some(active), None) => (Place::Active, active),
            (None, Some(archived)) => (Place::Archived, archived),
            (None, None) => continue,
        };
        let events = events(&bytes);
        let unreadable = count(&bytes) - events.len();
        let archived = is_archived(place, &events);
        return Ok(Some(History { place, archived, events, unreadable }));
    }
    Ok(None)
}

/// By its place; a task in both places is where its last life-cycle event says.
pub fn is_archived(place: Place, events: &[impl Told]) -> bool {
    match place {
        Place::Archived => true,
        Place::Active | Place::Nowhere => false,
        Place::Both => {
            let last = events.iter().rev().find(|event| event.is_lifecycle());
            last.is_some_and(|event| event.kind() == TASK_ARCHIVED)
        }
    }
}

/// Where a task belongs, which is not where it is if a move was cut off behind its event. Events that follow a
/// move which never happened show that the task stayed in use; only the end of a run is no use.
pub fn belongs_in_archive(place: Place, events: &[impl Told]) -> bool {
    let last = events.iter().rev().find(|event| !event.is_terminal()).map_or("", Told::kind);
    match place {
        Place::Active => last == TASK_ARCHIVED,
        Place::Archived => last != TASK_UNARCHIVED,
        Place::Both | Place::Nowhere => is_archived(place, events),
    }
}

/// The bytes of a log, read until nothing comes: where a read gave less, because of an error behind it or on FUSE, the
/// history does not end, and who took it for its end would write what is there already.
///
/// Nobody asks for its size first, which for a small log would be as many calls again.
pub(super) fn whole(path: &Path) -> io::Result<Vec<u8>> {
    rest_of(&mut File::open(path)?)
}

/// The same of a log that is open, from where it stands.
pub(super) fn rest_of(log: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(GUESS);
    log.by_ref().take(u64::MAX).read_to_end(&mut content)?;
    Ok(content)
}

fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match whole(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Reads a log. Lines that are no JSON object are skipped.
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    Ok(events(&whole(path)?))
}

/// A log as it was before its lock was taken: what stands there still need not be understood while others wait.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whole lines.
    bytes: Vec<u8>,
    events: Vec<Event>,
}

impl Known {
    /// Of the one log of a task. Where that cannot be read nothing is known, and whoever has the lock tells why.
    pub(super) fn read(layout: &Layout, task: &TaskId, place: Place) -> Self {
        let mut bytes = match place {
            Place::Active => whole(&layout.log(task)).unwrap_or_default(),
            Place::Archived => whole(&layout.archived_log(task)).unwrap_or_default(),
            Place::Both | Place::Nowhere => Vec::new(),
        };
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        Self { events: events(&bytes), bytes }
    }

    /// The events of what the log holds now. Nothing is taken for granted: if a byte of the known lines is another
    /// one, all are read anew.
    pub(super) fn events_of(mut self, now: &[u8]) -> Vec<Event> {
        let Some(added) = now.strip_prefix(&self.bytes[..]) else { return events(now) };
        self.events.extend(events(added));
        self.events
    }
}

/// The events among the lines.
pub fn events(bytes: &[u8]) -> Vec<Event> {
    lines(bytes).filter_map(Event::parse).collect()
}

/// The same for those who need little of most of them.
pub(super) fn briefly(bytes: &[u8]) -> Vec<Line<'_>> {
    lines(bytes).filter_map(Line::parse).collect()
}

/// How many lines there are, whether they are events or not.
pub(super) fn count(bytes: &[u8]) -> usize {
    lines(bytes).count()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// One history out of the active and the archived log of a task: if one continues the other, the longer one; else
/// the one that begins with `task_created`, followed by those lines of the other whose event ID it does not have.
pub fn merge(active: &[u8], archived: &[u8]) -> Vec<u8> {
    let (base, other) = match (active, archived) {
        _ if active.starts_with(archived) => return active.to_vec(),
        _ if archived.starts_with(active) => return archived.to_vec(),
        _ if begins_with_creation(active) || !begins_with_creation(archived) => (active, archived),
        _ => (archived, active),
    };
    let mut known: HashSet<Vec<u8>> = lines(base).map(identity).collect();
    let mut merged = base.to_vec();
    for line in lines(other).filter(|line| known.insert(identity(line))) {
        if merged.last().is_some_and(|&byte| byte != b'\n') {
            merged.push(b'\n');
        }
        merged.extend_from_slice(line);
        merged.push(b'\n');
    }
    merged
}

/// The event's ID; for a line without one, the line.
fn identity(line: &[u8]) -> Vec<u8> {
    match Event::parse(line) {
        Some(event) if !event.id().is_empty() => event.id().as_bytes().to_vec(),
        _ => line.to_vec(),
    }
}

fn begins_with_creation(log: &[u8]) -> bool {
    lines(log).next().and_then(Event::parse).is_some_and(|event| event.kind() == TASK_CREATED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATED: &str = r#"{"id":"ev_1","type":"task_created"}"#;

    #[track_caller]
    fn check_merge(active: &str, archived: &str, expected: &str) {
        let merged = merge(
            active.replace('C', CREATED).as_bytes(),
            archived.replace('C', CREATED).as_bytes(),
        );
        assert_eq!(String::from_utf8(merged).unwrap(), expected.replace('C', CREATED));
    }

    #[test]
    fn merging() {
        let (a, b) = (r#"{"id":"ev_a"}"#, r#"{"id":"ev_b"}"#);
        check_merge("C\n", "C\n", "C\n");
        check_merge("C\n", &format!("C\n{a}\n"), &format!("C\n{a}\n"));
        check_merge(&format!("C\n{a}\n"), "C\n", &format!("C\n{a}\n"));
        check_merge(&format!("{a}\n"), &format!("C\n{b}\n"), &format!("C\n{b}\n{a}\n"));
        check_merge(&format!("C\n{a}\n"), &format!("C\n{b}\n"), &format!("C\n{a}\n{b}\n"));
        check_merge(&format!("C\n{a}"), &format!("C\n{b}"), &format!("C\n{a}\n{b}\n"));
        check_merge("", &format!("C\n{b}"), &format!("C\n{b}"));
    }

    #[test]
    fn reading_skips_what_is_no_object() {
        let log = b"{\"id\":\"ev_1\"}\r\n\n  {\"id\":\"ev_2\"} \nnot json\n[]\n{\"id\":\"ev_3\"}";
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let task = TaskId::generate();
        fs_err::write(layout.log(&task), log).unwrap();
        let found = read_history(&layout, &task).unwrap().unwrap();
        let ids: Vec<_> = found.events.iter().map(Event::id).collect();
        assert_eq!((ids, found.unreadable), (vec!["ev_1", "ev_2", "ev_3"], 2));
    }

    /// What was read before the lock, what is there under it, how many events there are then.
    #[track_caller]
    fn check_known(before: &str, now: &str) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let task = TaskId::generate();
        fs_err::write(layout.log(&task), before).unwrap();
        let known = Known::read(&layout, &task, Place::Active);
        assert_eq!(known.events_of(now.as_bytes()), events(now.as_bytes()), "{before:?} {now:?}");
    }

    #[test]
    fn what_was_known_before_the_lock_counts_only_while_it_stands() {
        let (one, two) = ("{\"id\":\"ev_1\"}\n", "{\"id\":\"ev_2\"}\n");
        for before in
            ["", one, two, "{\"id\":\"ev_1\"", &format!("{one}{{\"id\""), &format!("{one}x\n")]
        {
            for now in
                ["", one, two, &format!("{one}{two}"), &format!("{two}{one}"), "{\"id\":\"ev_1\"}"]
            {
                check_known(before, now);
            }
        }
    }

    #[test]
    fn places() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let task = TaskId::generate();
        assert_eq!(locate(&layout, &task).unwrap(), Place::Nowhere);
        fs_err::write(layout.log(&task), "").unwrap();
        assert_eq!(locate(&layout, &task).unwrap(), Place::Active);
        fs_err::write(layout.archived_log(&task), "").unwrap();
        assert_eq!(locate(&layout, &task).unwrap(), Place::Both);
        fs_err::remove_file(layout.log(&task)).unwrap();
        assert_eq!(locate(&layout, &task).unwrap(), Place::Archived);
        fs_err::create_dir(layout.log(&task)).unwrap();
        assert_eq!(locate(&layout, &task).unwrap_err().code(), Code::IoError);
    }
}
