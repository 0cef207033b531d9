//! `ids.json` made again from the short IDs that the tasks themselves have.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use ulid::Ulid;

use super::read::{read_config, read_task};
use super::short_ids::{Index, counters, entries, highest, object, upgraded};
use crate::model::failure::Result;
use crate::model::ids::TaskId;
use crate::model::json;
use crate::storage::append::set_aside;
use crate::storage::layout::Layout;
use crate::storage::lock::{self, IDS_KEY};
use crate::storage::replace::replace;

/// Short IDs as the tasks themselves have them, each with one task: after a merge the older of two.
#[derive(Debug, Default)]
pub struct Named(BTreeMap<String, TaskId>);

impl Named {
    /// Where another task has this short ID too: the older of the two, which keeps it, and the newer.
    pub fn add(&mut self, short_id: &str, task: &TaskId) -> Option<(TaskId, TaskId)> {
        let known = self.0.entry(short_id.to_owned()).or_insert_with(|| task.clone());
        if known == task {
            return None;
        }
        let mut pair = [task.clone(), known.clone()];
        // A ULID begins with its time.
        pair.sort_by_key(|task| task.ulid().to_ascii_uppercase());
        let [older, newer] = pair;
        *known = older.clone();
        Some((older, newer))
    }

    /// Whether this task is the one that a short ID means, or nobody else's is known.
    pub fn is_of(&self, short_id: &str, task: &TaskId) -> bool {
        self.0.get(short_id).is_none_or(|known| known == task)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest number of each prefix.
    pub fn highest(&self) -> BTreeMap<String, u64> {
        highest(self.0.keys())
    }
}

/// Between its short ID and its log a task has at most the patience of a lock.
const IN_THE_MAKING: Duration = Duration::from_secs(30);

/// Makes the index agree with the tasks. Entries of tasks that do not exist go, unless they are being created just
/// now; counters never go back, so no number is given out twice. An index that cannot be read is kept aside.
pub(in crate::storage) fn restore(layout: &Layout, named: &Named) -> Result<()> {
    let _locks = lock::acquire(layout, &[IDS_KEY.to_owned()])?;
    let before = match fs_err::read(layout.ids()) {
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_empty() => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let old = if let Some(Value::Object(index)) = json::parse_line(&before) {
        index
    } else {
        if !before.is_empty() {
            set_aside(&layout.ids(), &layout.torn_tails(), 0, &before)?;
        }
        Index::new()
    };
    let prefix = read_config(layout).ok().and_then(|config| config.short_id_prefix());
    let mut index = upgraded(old, &prefix.unwrap_or_default());
    let taken = entries(&index);
    let keeps = |(short_id, task): &(&String, &String)| {
        !named.0.contains_key(*short_id)
            && TaskId::parse(task).is_some_and(|t| is_to_be_kept(layout, &t, short_id))
    };
    let kept = taken.iter().filter(keeps).map(|(id, task)| (id.clone(), task.as_str().into()));
    let known = named.0.iter().map(|(id, task)| (id.clone(), task.as_str().into()));
    let map: Index = kept.chain(known).collect();
    for (prefix, number) in highest(taken.keys().chain(named.0.keys())) {
        let next =
            counters(&index).get(&prefix).copied().unwrap_or(1).max(number.saturating_add(1));
        object(&mut index, "next_seqs").insert(prefix, next.into());
    }
    object(&mut index, "next_seqs");
    index.insert("map".to_owned(), map.into());
    let after = json::pretty(&Value::Object(index)).into_bytes();
    if before != after {
        replace(&layout.ids(), &after)?;
    }
    Ok(())
}

/// Whether an entry is of a task that came after the tasks were looked at, or of one that cannot be read now.
fn is_to_be_kept(layout: &Layout, task: &TaskId, short_id: &str) -> bool {
    match read_task(layout, task) {
        Ok((_, snapshot, _)) => return snapshot.short_id() == Some(short_id),
        Err(_) if layout.has_task(task) => return true,
        Err(_) => {}
    }
    let since =
        Ulid::from_string(task.ulid()).map(|ulid| Duration::from_millis(ulid.timestamp_ms()));
    since.is_ok_and(|since| {
        let made = UNIX_EPOCH + since;
        SystemTime::now().duration_since(made).unwrap_or_default() < IN_THE_MAKING
    })
}
