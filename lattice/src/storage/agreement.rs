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
use crate::model::ids::TaskId;
use crate::model::json;
use crate::model::line::Told;

/// What one task says, or all of them together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The sum of the hashes of its life-cycle lines.
    lifecycle: Sum,
    /// The same of the entries that its short IDs should have in the index.
    index: Entries,
    /// Tasks that cannot be read.
    unknown: u64,
}

impl Said {
    /// By a task that is there and cannot be read.
    pub(super) const UNKNOWN: Self =
        Self { lifecycle: Sum(0), index: Entries { count: 0, sum: Sum(0) }, unknown: 1 };

    pub(super) fn by(task: &TaskId, events: &[impl Told], short_id: Option<&str>) -> Self {
        let mut said = Self::default();
        for event in events.iter().filter(|event| event.is_lifecycle()) {
            said.lifecycle.add(event.whole().line().as_bytes());
        }
        if let Some(short_id) = short_id {
            said.index.add(short_id, task.as_str());
        }
        said
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lifecycle.add_sum(other.lifecycle);
        self.index.count += other.index.count;
        self.index.sum.add_sum(other.index.sum);
        self.unknown += other.unknown;
    }

    /// Whether nothing speaks against it. `sorted`: the life-cycle log also has the order in which it is made.
    pub(super) fn is_agreed(self, layout: &Layout, sorted: bool) -> bool {
        let is_recorded =
            || lifecycle::digest(layout, sorted).is_ok_and(|found| found == Some(self.lifecycle));
        self.unknown == 0 && is_recorded() && is_indexed(layout, self.index).unwrap_or(false)
    }
}

/// Entries of the index in any order: a short ID and its task each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Entries {
    count: u64,
    sum: Sum,
}

impl Entries {
    fn add(&mut self, short_id: &str, task: &str) {
        self.count += 1;
        self.sum.add_hash(&(short_id, task));
    }
}

/// Of lines in any order: the sum of their hashes. Blank ones do not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    pub(super) fn add(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            self.add_hash(line);
        }
    }

    fn add_hash(&mut self, value: &(impl Hash + ?Sized)) {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        self.add_sum(Self(hasher.finish()));
    }

    fn add_sum(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// Whether the index has no entries but these, each once, and will give out no number twice.
fn is_indexed(layout: &Layout, wanted: Entries) -> io::Result<bool> {
    let file = match File::open(layout.ids()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(wanted.count == 0),
        other => other?,
    };
    let (mut reader, mut line, mut rest) = (BufReader::new(file), Vec::new(), Vec::new());
    let (mut found, mut highest) = (Entries::default(), BTreeMap::<String, u64>::new());
    let mut last = String::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let entry = short_ids::entry(&line);
        match entry.and_then(|(short_id, task)| Some((short_id, task, short_ids::split(short_id)?)))
        {
            Some((short_id, task, (prefix, number))) => {
                // Of two entries for one short ID only the second counts, and side by side they are seen.
                if last.as_str() >= short_id {
                    return Ok(false);
                }
                short_id.clone_into(&mut last);
                found.add(short_id, task);
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
    Ok(is_current && found == wanted && highest.iter().all(is_next))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [&str; 2] = ["task_01KA00000000000000000000T1", "task_01KA00000000000000000000T2"];

    #[track_caller]
    fn check(lines: &[(&str, usize)], said: &[(&str, usize)], expected: bool) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let lines: Vec<String> = lines
            .iter()
            .map(|(short_id, task)| format!("    \"{short_id}\": \"{}\"", TASKS[*task]))
            .collect();
        let index = format!(
            "{{\n  \"map\": {{\n{}\n  }},\n  \"next_seqs\": {{\n    \"QX\": 9\n  }},\n  \"schema_version\": 2\n}}\n",
            lines.join(",\n")
        );
        fs_err::write(layout.ids(), index).unwrap();
        let mut wanted = Entries::default();
        for (short_id, task) in said {
            wanted.add(short_id, TASKS[*task]);
        }
        assert_eq!(is_indexed(&layout, wanted).unwrap(), expected);
    }

    #[test]
    fn an_index_is_agreed_when_each_task_has_its_entry_and_there_is_no_other() {
        check(&[], &[], true);
        check(&[("QX-1", 0), ("QX-2", 1)], &[("QX-2", 1), ("QX-1", 0)], true);
        check(&[("QX-1", 0), ("QX-2", 1)], &[("QX-1", 1), ("QX-2", 0)], false);
        check(&[("QX-1", 0), ("QX-2", 1)], &[("QX-1", 0)], false);
        check(&[("QX-1", 0)], &[("QX-1", 0), ("QX-2", 1)], false);
        check(&[("QX-9", 0)], &[("QX-9", 0)], false);
    }

    #[test]
    fn one_short_id_twice_is_seen_although_two_tasks_have_it() {
        let twice = [("QX-1", 0), ("QX-1", 1)];
        check(&twice, &twice, false);
    }
}
