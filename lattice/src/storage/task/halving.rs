//! One entry of `ids.json` without the rest of it, which has a line for each task that there ever was.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fs_err::File;

use crate::model::ids::TaskId;

/// Where to stop halving and read what is left. Longer than any entry.
const BLOCK: usize = 4096;
/// `{`, and the line that opens the map.
const HEAD: u64 = 16;

/// The task of a short ID, if the file is as both tools write it: an entry a line, the keys sorted. What is found may
/// be no entry of the map, and what is not found may be there: the task has to confirm it.
pub(super) fn look_up(path: &Path, short_id: &str) -> io::Result<Option<TaskId>> {
    let file = File::open(path)?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    let mut block = [0; BLOCK];
    while high - low > BLOCK as u64 {
        let middle = low + (high - low) / 2;
        let end = file.file().read_at(&mut block, middle)?;
        let Some(start) = block[..end].iter().position(|byte| *byte == b'\n') else { break };
        let is_above = match entry(&block[start + 1..end]) {
            Some((key, _)) => key > short_id,
            // The head and the foot of the file, which are shorter than a block.
            None => middle > HEAD,
        };
        if is_above {
            high = middle;
        } else {
            low = middle + start as u64 + 1;
        }
    }
    // The line that `high` is in may be the one.
    let mut rest = vec![0; 2 * BLOCK];
    let end = file.file().read_at(&mut rest, low)?;
    let mut entries = rest[..end].split(|byte| *byte == b'\n').filter_map(entry);
    let found = entries.find(|(key, _)| *key == short_id);
    Ok(found.and_then(|(_, task)| TaskId::parse(task)))
}

/// The entry that a text begins with: `    "QX-12": "task_…"`.
pub(super) fn entry(text: &[u8]) -> Option<(&str, &str)> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let line = str::from_utf8(line).ok()?.strip_prefix("    \"")?;
    let (key, value) = line.split_once("\": \"")?;
    Some((key, value.split_once('"')?.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::model::json;

    #[test]
    fn every_entry_of_an_index_of_any_size_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.json");
        for count in [0_usize, 1, 2, 100, 5000] {
            let name = |number: usize| format!("{}-{number}", ["QX", "QX-A", "B"][number % 3]);
            let task = |number: usize| format!("task_01KA{number:022}");
            let map: Map<String, Value> =
                (0..count).map(|number| (name(number), task(number).into())).collect();
            let index = json!({"map": map, "next_seqs": {"QX": 7, "B": 8}, "schema_version": 2});
            fs_err::write(&path, json::pretty(&index)).unwrap();
            for number in 0..count {
                let found = look_up(&path, &name(number)).unwrap().unwrap();
                assert_eq!(found.as_str(), task(number));
            }
            for absent in ["A-1", "QX", "QX-99999", "ZZZ-1", "B-"] {
                assert_eq!(look_up(&path, absent).unwrap(), None, "{absent}");
            }
        }
    }

    #[test]
    fn a_file_that_is_no_index_has_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ids.json");
        for text in ["", "{", "\n", &"x".repeat(3 * BLOCK), &"\n".repeat(3 * BLOCK)] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(look_up(&path, "QX-1").unwrap(), None);
        }
    }
}
