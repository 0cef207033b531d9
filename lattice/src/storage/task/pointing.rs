//! Which tasks have a relationship to another: that stands in their own files alone, so all of them are searched. What
//! a search of very many has found is remembered until one of their directories changes, which every write by either
//! tool does to one: both replace a snapshot by renaming another file over it (rename(2), stat(2)).

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::{all, read_snapshot, snapshot_path};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::storage::layout::Layout;
use crate::storage::replace::replace;
use crate::storage::scan;

/// Fewer are searched sooner than it is worth a file.
pub(super) const MANY: usize = 2_000;

/// A directory that has changed just now may change once more in the same tick of its clock, and look the same. No
/// file system in use has a coarser one.
const SETTLED: Duration = Duration::from_secs(2);

/// Of other versions nothing is taken.
const VERSION: u32 = 1;

/// Candidates: what they say of the task is read from their own files.
pub(super) fn pointing_at(layout: &Layout, task: &TaskId) -> Vec<TaskId> {
    let before = Stamp::of(layout).ok();
    let known = before.as_ref().and_then(|now| Known::read(layout).filter(|k| k.stamp == *now));
    let found = known.map_or_else(|| search(layout, before), |known| known.links);
    let to_task = found.into_iter().filter(|link| link.target == *task && link.source != *task);
    let mut sources: Vec<TaskId> = to_task.map(|link| link.source).collect();
    sources.dedup();
    sources
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    source: TaskId,
    target: TaskId,
}

/// What was found when the directories looked like this.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    version: u32,
    stamp: Stamp,
    links: Vec<Link>,
}

impl Known {
    fn read(layout: &Layout) -> Option<Self> {
        let bytes = fs_err::read(layout.links()).ok()?;
        let known: Self = serde_json::from_slice(&bytes).ok()?;
        (known.version == VERSION).then_some(known)
    }
}

/// The directories of snapshots and logs: which ones they are, and when they changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp(Vec<[i64; 6]>);

impl Stamp {
    fn of(layout: &Layout) -> io::Result<Self> {
        let dirs =
            [layout.tasks(), layout.events(), layout.archive_tasks(), layout.archive_events()];
        let looks = |found: Metadata| {
            let identity = [found.dev().cast_signed(), found.ino().cast_signed()];
            let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
            [identity[0], identity[1], times[0], times[1], times[2], times[3]]
        };
        let all = dirs.iter().map(|dir| fs_err::metadata(dir).map(looks));
        Ok(Self(all.collect::<io::Result<_>>()?))
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let newest = self.0.iter().map(|[_, _, seconds, ..]| *seconds).max().unwrap_or(i64::MAX);
        let newest = u64::try_from(newest).unwrap_or(0);
        now.as_secs() > newest.saturating_add(SETTLED.as_secs())
    }
}

/// Searches all, and remembers it if in all that time nothing has changed. Failing that costs the next one a search.
fn search(layout: &Layout, before: Option<Stamp>) -> Vec<Link> {
    let all = all(layout, true, &mut Vec::new());
    let (mut links, mut are_whole) = (Vec::new(), true);
    let look = |(task, archived): &(TaskId, bool)| {
        let path = snapshot_path(layout, task, *archived);
        scan::look_into(&path, |bytes| targets(task, bytes)).ok().flatten()
    };
    scan::each(&all, look, |(source, _), found| {
        // The log of such a task counts, and a log changes without its directory.
        are_whole &= found.is_some();
        let targets = found.unwrap_or_else(|| targets_by_log(layout, source));
        links.extend(targets.into_iter().map(|target| Link { source: source.clone(), target }));
    });
    let is_worth_it = are_whole && all.len() >= MANY;
    let stamp = before.filter(|before| {
        is_worth_it && before.is_settled() && Stamp::of(layout).is_ok_and(|after| after == *before)
    });
    let Some(stamp) = stamp else { return links };
    let known = Known { version: VERSION, stamp, links };
    if let Ok(text) = serde_json::to_vec(&known) {
        drop(replace(&layout.links(), &text));
    }
    known.links
}

fn targets_by_log(layout: &Layout, task: &TaskId) -> Vec<TaskId> {
    let state = read_snapshot(layout, task);
    let targets = state.and_then(|state| Some(targets_in(state.get("relationships_out")?)));
    targets.unwrap_or_default()
}

/// `None` where the bytes are no snapshot of the task. Most have no relationship, which is seen sooner than understood.
fn targets(task: &TaskId, bytes: &[u8]) -> Option<Vec<TaskId>> {
    let text = str::from_utf8(bytes).ok()?;
    let is_whole = text.trim_end().ends_with('}') && text.contains(task.as_str());
    if !is_whole {
        return None;
    }
    if !text.contains("\"target_task_id\"") {
        return Some(Vec::new());
    }
    let fields = json::parse_fields(bytes, &["relationships_out"])?;
    Some(fields.get("relationships_out").map(targets_in).unwrap_or_default())
}

fn targets_in(relationships: &Value) -> Vec<TaskId> {
    let target = |relationship: &Value| TaskId::parse(relationship["target_task_id"].as_str()?);
    relationships.as_array().into_iter().flatten().filter_map(target).collect()
}
