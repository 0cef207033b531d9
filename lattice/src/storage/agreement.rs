//! Whether what is derived from all tasks together (the life-cycle log, `ids.json`) says what their logs say. It is found
//! out by sums and counts that take no more memory for more tasks. Where they differ, or might, somebody has to look at
//! all tasks side by side.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, ErrorKind};

use fs_err::File;
use serde_json::Value;

use super::layout::Layout;
use super::lifecycle;
use super::task::short_ids;
use crate::model::event::Event;
use crate::model::ids::TaskId;
use crate::model::json;

/// What one task says, or all of them together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The sum of the hashes of its life-cycle lines.
    lifecycle: u64,
    /// Tasks with a short ID, and those among them whose entry in the index is theirs.
    named: u64,
    confirmed: u64,
    /// Tasks that cannot be read.
    unknown: u64,
}

impl Said {
    /// By a task that is there and cannot be read.
    pub(super) const UNKNOWN: Self = Self { lifecycle: 0, named: 0, confirmed: 0, unknown: 1 };

    pub(super) fn by(
        layout: &Layout,
        task: &TaskId,
        events: &[Event],
        short_id: Option<&str>,
    ) -> Self {
        let mut lifecycle = Sum::default();
        for event in events.iter().filter(|event| event.is_lifecycle()) {
            lifecycle.add(event.line().as_bytes());
        }
        let is_confirmed = short_id.is_some_and(|id| short_ids::is_entry(layout, id, task));
        let (named, confirmed) = (short_id.is_some().into(), is_confirmed.into());
        Self { lifecycle: lifecycle.0, named, confirmed, unknown: 0 }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lifecycle = self.lifecycle.wrapping_add(other.lifecycle);
        self.named += other.named;
        self.confirmed += other.confirmed;
        self.unknown += other.unknown;
    }

    /// Whether nothing speaks against it. `sorted`: the life-cycle log also has the order in which it is made.
    pub(super) fn is_agreed(self, layout: &Layout, sorted: bool) -> bool {
        let is_clear = self.unknown == 0 && self.named == self.confirmed;
        let is_recorded =
            || lifecycle::digest(layout, sorted).is_ok_and(|found| found == Some(self.lifecycle));
        is_clear && is_recorded() && is_indexed(layout, self.confirmed).unwrap_or(false)
    }
}

/// Of lines in any order: the sum of their hashes. Blank ones do not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(pub(super) u64);

impl Sum {
    pub(super) fn add(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            let mut hasher = DefaultHasher::new();
            line.hash(&mut hasher);
            self.0 = self.0.wrapping_add(hasher.finish());
        }
    }
}

/// Whether the index has no entries but so many, and will give out no number twice.
fn is_indexed(layout: &Layout, entries: u64) -> io::Result<bool> {
    let file = match File::open(layout.ids()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(entries == 0),
        other => other?,
    };
    let (mut reader, mut line, mut rest) = (BufReader::new(file), Vec::new(), Vec::new());
    let (mut count, mut highest) = (0, BTreeMap::<String, u64>::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        match short_ids::entry(&line).and_then(|(short_id, _)| short_ids::split(short_id)) {
            Some((prefix, number)) => {
                count += 1;
                match highest.get_mut(prefix) {
                    Some(known) => *known = number.max(*known),
                    None => drop(highest.insert(prefix.to_owned(), number)),
                }
            }
            None => rest.extend_from_slice(&line),
        }
        line.clear();
    }
    // What is left of a file without its entries is whole, too.
    let Some(Value::Object(index)) = json::parse_line(&rest) else { return Ok(false) };
    let counters = short_ids::counters(&index);
    let is_next =
        |(prefix, number): (&String, &u64)| counters.get(prefix).is_some_and(|next| next > number);
    let is_current = index.get("schema_version").and_then(Value::as_u64) >= Some(2);
    Ok(is_current && count == entries && highest.iter().all(is_next))
}
