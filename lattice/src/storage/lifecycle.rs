//! `events/_lifecycle.jsonl`: copies of the life-cycle events of all tasks, checked and made again from their logs.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};

use fs_err::File;

use super::agreement::Sum;
use super::append::set_aside;
use super::layout::Layout;
use super::lock;
use super::replace::replace_with;
use crate::model::event::{Event, TASK_CREATED};
use crate::model::failure::{Failure, Result};
use crate::model::finding::{Check, Finding};
use crate::model::ids::TaskId;

/// Which events have a copy. Hashes of their IDs, because this is the one thing that is known of all tasks at once.
#[derive(Debug, Default)]
pub(super) struct Recorded(HashSet<u64>);

impl Recorded {
    pub(super) fn read(layout: &Layout, findings: &mut Vec<Finding>) -> Self {
        let mut recorded = Self::default();
        let mut number = 0;
        let mut broken = Vec::new();
        let read = each_line(layout, |_, line| {
            number += 1;
            match Event::parse(line.trim_ascii()) {
                Some(event) => drop(recorded.0.insert(hash(event.id()))),
                None if line.trim_ascii().is_empty() => {}
                None => broken.push(number),
            }
            Ok(())
        });
        findings.extend(
            read.err().map(|error| Finding::error(Check::GlobalLogConsistency, error.to_string())),
        );
        findings.extend(broken.into_iter().map(|line| {
            let message = format!("line {line} of events/_lifecycle.jsonl is no event");
            Finding::warning(Check::GlobalLogConsistency, message)
        }));
        recorded
    }

    /// Life-cycle events of a task that have no copy.
    pub(super) fn missing(&self, task: &TaskId, events: &[Event]) -> Vec<Finding> {
        let missing = |event: &&Event| event.is_lifecycle() && !self.0.contains(&hash(event.id()));
        let message = |event: &Event| {
            format!("{} of {task} ({}) is not in events/_lifecycle.jsonl", event.id(), event.kind())
        };
        let warn = |event| Finding::warning(Check::GlobalLogConsistency, message(event)).of(task);
        events.iter().filter(missing).map(warn).collect()
    }
}

/// The sum of the hashes of all lines; `None` if there is no log, or if it should be `sorted` and is not.
pub(super) fn digest(layout: &Layout, sorted: bool) -> io::Result<Option<Sum>> {
    if !layout.lifecycle_log().is_file() {
        return Ok(None);
    }
    let (mut digest, mut last, mut is_sorted) = (Sum::default(), None, true);
    each_line(layout, |_, line| {
        digest.add(line);
        if sorted && !line.trim_ascii().is_empty() {
            let event = Event::parse(line.trim_ascii());
            let place = event.map(|event| (event.ts().to_owned(), event.id().to_owned()));
            is_sorted &= place.is_some() && place >= last;
            last = place;
        }
        Ok(())
    })?;
    Ok((!sorted || is_sorted).then_some(digest))
}

/// The lines of a new life-cycle log, on disk until they are all known and can be sorted.
pub(super) struct Spool {
    file: std::fs::File,
    end: u64,
    entries: Vec<Entry>,
    known: HashSet<u64>,
}

/// Sorted as the Python tool does: by time, then by ID.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    ts: Box<str>,
    id: Box<str>,
    start: u64,
    length: usize,
}

impl Spool {
    pub(super) fn new(layout: &Layout) -> Result<Self> {
        let dir = layout.dir.join("logs");
        let doing = || format!("failed to make a temporary file in `{}`", dir.display());
        let file = tempfile::tempfile_in(&dir).map_err(|error| Failure::io(doing(), error))?;
        Ok(Self { file, end: 0, entries: Vec::new(), known: HashSet::new() })
    }

    pub(super) fn add(&mut self, events: &[Event]) -> io::Result<()> {
        events.iter().filter(|event| event.is_lifecycle()).try_for_each(|event| self.push(event))
    }

    fn push(&mut self, event: &Event) -> io::Result<()> {
        if !self.known.insert(hash(event.id())) {
            return Ok(());
        }
        let line = event.line();
        self.file.write_all(line.as_bytes())?;
        let (ts, id) = (event.ts().into(), event.id().into());
        self.entries.push(Entry { ts, id, start: self.end, length: line.len() });
        self.end += line.len() as u64;
        Ok(())
    }

    /// Makes the log again under its lock. The logs of the tasks were read before that, without it: whatever has
    /// been added since then is in the log already, and is kept, like a line of a task that has no log any more.
    pub(super) fn write(mut self, layout: &Layout) -> Result<()> {
        let _locks = lock::acquire(layout, &["events__lifecycle".to_owned()])?;
        // A new log has the mode that the umask gives.
        fs_err::OpenOptions::new().append(true).create(true).open(layout.lifecycle_log())?;
        each_line(layout, |offset, line| match Event::parse(line.trim_ascii()) {
            Some(event) => self.push(&event),
            None if line.trim_ascii().is_empty() => Ok(()),
            None => set_aside(&layout.lifecycle_log(), &layout.torn_tails(), offset, line),
        })?;
        self.entries.sort();
        Ok(replace_with(&layout.lifecycle_log(), |new| {
            let mut line = Vec::new();
            for entry in &self.entries {
                line.resize(entry.length, 0);
                self.file.seek(SeekFrom::Start(entry.start))?;
                self.file.read_exact(&mut line)?;
                new.write_all(&line)?;
            }
            Ok(())
        })?)
    }
}

/// The copy of the line with which a task began.
pub(super) fn beginning(layout: &Layout, task: &TaskId) -> io::Result<Option<Vec<u8>>> {
    let mut found = None;
    each_line(layout, |_, line| {
        let event = Event::parse(line.trim_ascii());
        if event.is_some_and(|e| e.kind() == TASK_CREATED && e.task_id().as_ref() == Some(task)) {
            found.get_or_insert_with(|| [line.trim_ascii(), b"\n"].concat());
        }
        Ok(())
    })?;
    Ok(found)
}

/// One line at a time, with its place; nothing if there is no log.
fn each_line(
    layout: &Layout,
    mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let file = match File::open(layout.lifecycle_log()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let (mut reader, mut line, mut offset) = (BufReader::new(file), Vec::new(), 0);
    while reader.read_until(b'\n', &mut line)? > 0 {
        visit(offset, &line)?;
        offset += line.len() as u64;
        line.clear();
    }
    Ok(())
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
