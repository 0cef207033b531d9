//! `ids.json`: short IDs such as `QX-12` and the tasks they name. Writes take the lock key `ids_json`, alone.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Map, Value, json};

use super::halving;
use super::read::{list_snapshots, read_snapshot};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::storage::layout::Layout;
use crate::storage::lock::{self, IDS_KEY};
use crate::storage::replace::replace;

pub(super) type Index = Map<String, Value>;

/// Takes the next number for this prefix and notes the task under it. If the task is never written, the number
/// is lost, which hurts nobody.
pub fn allocate(layout: &Layout, prefix: &str, task: &TaskId) -> Result<String> {
    let _locks = lock::acquire(layout, &[IDS_KEY.to_owned()])?;
    let mut index = match read(layout)? {
        Some(index) => upgraded(index, prefix),
        None => rebuilt(layout),
    };
    let number = next_number(&index, prefix);
    let short_id = format!("{prefix}-{number}");
    object(&mut index, "next_seqs").insert(prefix.to_owned(), (number + 1).into());
    object(&mut index, "map").insert(short_id.clone(), task.as_str().into());
    replace(&layout.ids(), json::pretty(&Value::Object(index)).as_bytes())?;
    Ok(short_id)
}

/// Makes an index if there is none; `true` if there was none. Tasks may have short IDs already: an empty index
/// would give them out again.
pub fn ensure(layout: &Layout) -> Result<bool> {
    if fs_err::symlink_metadata(layout.ids()).is_ok() {
        return Ok(false);
    }
    let _locks = lock::acquire(layout, &[IDS_KEY.to_owned()])?;
    if fs_err::symlink_metadata(layout.ids()).is_ok() {
        return Ok(false);
    }
    replace(&layout.ids(), json::pretty(&Value::Object(rebuilt(layout))).as_bytes())?;
    Ok(true)
}

/// The task that a short ID names: by the index, else by whichever snapshot has it. One that agrees with its entry is
/// found without reading all the others.
pub fn look_up(layout: &Layout, short_id: &str) -> Option<TaskId> {
    let short_id = short_id.to_ascii_uppercase();
    let known = halving::look_up(&layout.ids(), &short_id).ok().flatten();
    let has_it = |task: &TaskId| {
        read_snapshot(layout, task).is_some_and(|task| task.short_id() == Some(&short_id))
    };
    if known.as_ref().is_some_and(has_it) {
        return known;
    }
    // An unreadable index stops nobody from reading.
    let index = read(layout).ok().flatten().unwrap_or_default();
    let named = index.get("map").and_then(|map| map.get(&short_id)).and_then(Value::as_str);
    named.and_then(TaskId::parse).or_else(|| {
        let (snapshots, _) = list_snapshots(layout, true);
        snapshots.iter().find(|(s, _)| s.short_id() == Some(&short_id))?.0.task_id()
    })
}

/// A line of the index: a short ID and its task.
pub(in crate::storage) fn entry(line: &[u8]) -> Option<(&str, &str)> {
    halving::entry(line).filter(|(_, task)| TaskId::parse(task).is_some())
}

/// The text entries of the map.
pub(in crate::storage) fn entries(index: &Index) -> BTreeMap<String, String> {
    let map = index.get("map").and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(id, task)| Some((id.clone(), task.as_str()?.to_owned()))).collect()
}

pub(in crate::storage) fn counters(index: &Index) -> BTreeMap<String, u64> {
    let counters = index.get("next_seqs").and_then(Value::as_object).into_iter().flatten();
    counters.filter_map(|(prefix, next)| Some((prefix.clone(), next.as_u64()?))).collect()
}

pub(super) fn highest<'a>(short_ids: impl Iterator<Item = &'a String>) -> BTreeMap<String, u64> {
    let mut highest = BTreeMap::new();
    for (prefix, number) in short_ids.filter_map(|id| split(id)) {
        let known = highest.entry(prefix.to_owned()).or_insert(number);
        *known = number.max(*known);
    }
    highest
}

/// `CODE-12` or `CODE-SUB-12`, in any case.
pub fn is_short_id(text: &str) -> bool {
    let mut parts: Vec<&str> = text.split('-').collect();
    let is_number =
        parts.pop().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let is_code = |code: &&str| {
        (1..=5).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphabetic())
    };
    is_number && (1..=2).contains(&parts.len()) && parts.iter().all(is_code)
}

/// An index that is there but unreadable must never count as empty: numbers would be given out twice.
pub(in crate::storage) fn read(layout: &Layout) -> Result<Option<Index>> {
    let path = layout.ids();
    let bytes = match fs_err::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match json::parse_line(&bytes) {
        Some(Value::Object(index)) => Ok(Some(index)),
        _ => Err(Failure::new(
            Code::IoError,
            format!("the index of short IDs `{}` is not valid JSON", path.display()),
        )
        .hint("`lattice doctor --fix` makes it again from the tasks")),
    }
}

/// Version 1 had one counter for the whole project: it belongs to the first prefix in use, else to ours.
pub(super) fn upgraded(mut index: Index, ours: &str) -> Index {
    if index.get("schema_version").and_then(Value::as_u64).unwrap_or(1) >= 2 {
        return index;
    }
    let old = index.remove("next_seq").and_then(|number| number.as_u64()).unwrap_or(1);
    let first = object(&mut index, "map").keys().find_map(|id| Some(split(id)?.0.to_owned()));
    object(&mut index, "next_seqs").insert(first.unwrap_or_else(|| ours.to_owned()), old.into());
    index.insert("schema_version".to_owned(), 2.into());
    index
}

fn rebuilt(layout: &Layout) -> Index {
    let (snapshots, _) = list_snapshots(layout, true);
    let named =
        snapshots.iter().filter_map(|(s, _)| Some((s.short_id()?.to_owned(), Value::from(s.id()))));
    let map: Index = named.collect();
    match json!({"schema_version": 2, "next_seqs": {}, "map": map}) {
        Value::Object(index) => index,
        _ => unreachable!("an object was written down"),
    }
}

/// The counter, but never a number that is taken already: counters get lost in merges.
fn next_number(index: &Index, prefix: &str) -> u64 {
    let counter = index
        .get("next_seqs")
        .and_then(|seqs| seqs.get(prefix))
        .and_then(Value::as_u64)
        .unwrap_or(1);
    let taken = index.get("map").and_then(Value::as_object).into_iter().flatten();
    let numbers = taken
        .filter_map(|(id, _)| split(id).filter(|(p, _)| *p == prefix))
        .map(|(_, number)| number);
    numbers.max().map_or(counter, |highest| counter.max(highest.saturating_add(1)))
}

pub(in crate::storage) fn split(short_id: &str) -> Option<(&str, u64)> {
    let (prefix, number) = short_id.rsplit_once('-')?;
    Some((prefix, number.parse().ok()?))
}

pub(super) fn object<'a>(index: &'a mut Index, key: &str) -> &'a mut Index {
    let value = index.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was made an object just now")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "task_01KA00000000000000000000T1";

    #[track_caller]
    fn check(before: Option<&str>, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        if let Some(text) = before {
            fs_err::write(layout.ids(), text).unwrap();
        }
        allocate(&layout, "QX", &TaskId::parse(TASK).unwrap()).unwrap();
        let after = json::parse_line(&fs_err::read(layout.ids()).unwrap()).unwrap();
        assert_eq!(json::compact(&after), expected.replace('T', TASK));
    }

    #[test]
    fn allocation() {
        check(None, r#"{"map":{"QX-1":"T"},"next_seqs":{"QX":2},"schema_version":2}"#);
        check(
            Some(r#"{"map":{"QX-1":"a"},"next_seqs":{"QX":5},"schema_version":2,"x":1}"#),
            r#"{"map":{"QX-1":"a","QX-5":"T"},"next_seqs":{"QX":6},"schema_version":2,"x":1}"#,
        );
        check(
            Some(r#"{"map":{"QX-7":"a"},"next_seqs":{"QX":3},"schema_version":2}"#),
            r#"{"map":{"QX-7":"a","QX-8":"T"},"next_seqs":{"QX":9},"schema_version":2}"#,
        );
        check(
            Some(r#"{"schema_version":1,"next_seq":7,"map":{"QX-6":"a"}}"#),
            r#"{"map":{"QX-6":"a","QX-7":"T"},"next_seqs":{"QX":8},"schema_version":2}"#,
        );
        check(
            Some(r#"{"next_seq":7,"map":{}}"#),
            r#"{"map":{"QX-7":"T"},"next_seqs":{"QX":8},"schema_version":2}"#,
        );
        check(
            Some(r#"{"map":3}"#),
            r#"{"map":{"QX-1":"T"},"next_seqs":{"QX":2},"schema_version":2}"#,
        );
    }

    #[test]
    fn an_unreadable_index_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        for broken in ["", "{", "[]", "<<<<<<< HEAD\n{}\n"] {
            fs_err::write(layout.ids(), broken).unwrap();
            let error = allocate(&layout, "QX", &TaskId::parse(TASK).unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::IoError);
            assert_eq!(fs_err::read_to_string(layout.ids()).unwrap(), broken);
        }
    }

    #[test]
    fn a_missing_index_is_made_from_the_snapshots() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let task = TaskId::parse(TASK).unwrap();
        fs_err::write(
            layout.archived_snapshot(&task),
            json!({"id": TASK, "short_id": "QX-4"}).to_string(),
        )
        .unwrap();
        assert_eq!(look_up(&layout, "qx-4"), Some(task));
        assert_eq!(allocate(&layout, "QX", &TaskId::generate()).unwrap(), "QX-5");
    }

    #[test]
    fn short_id_forms() {
        for good in ["QX-1", "qx-12", "ABCDE-F-3"] {
            assert!(is_short_id(good), "{good}");
        }
        for bad in ["QX", "QX-", "-1", "QX-1a", "ABCDEF-1", "A-B-C-1", "Q1-2", ""] {
            assert!(!is_short_id(bad), "{bad}");
        }
    }
}
