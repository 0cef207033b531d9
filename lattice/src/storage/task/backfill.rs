//! Short IDs for tasks that were created without one.

use serde_json::json;

use super::named::{self, Named};
use super::read::{read_task, task_ids};
use super::short_ids;
use super::txn::TaskTxn;
use crate::model::event::{Author, TASK_SHORT_ID_ASSIGNED};
use crate::model::failure::Result;
use crate::model::ids::TaskId;
use crate::storage::layout::Layout;

/// The new short IDs, in the order of the tasks' age; and what could not be read, or not be written in the second place. A crash leaves a number that is
/// taken and not used, which hurts nobody.
pub fn give_ids(
    layout: &Layout,
    prefix: &str,
    author: &Author,
    now: &dyn Fn() -> String,
) -> Result<(Vec<String>, Vec<String>)> {
    let mut troubles = Vec::new();
    let mut tasks = task_ids(&layout.events(), "jsonl", &mut troubles);
    tasks.extend(task_ids(&layout.archive_events(), "jsonl", &mut troubles));
    tasks.sort();
    tasks.dedup();
    let (mut named, mut nameless) = (Named::default(), Vec::new());
    for task in tasks {
        match read_task(layout, &task) {
            Ok((_, snapshot, _)) => match snapshot.short_id() {
                Some(short_id) => {
                    nameless.extend(named.add(short_id, &task).map(|(_, newer)| newer));
                }
                None => nameless.push(task),
            },
            Err(failure) => troubles.push(failure.to_string()),
        }
    }
    nameless.sort();
    if !nameless.is_empty() {
        // Of two tasks with one short ID it is the older that the index names from now on.
        named::restore(layout, &named)?;
    }
    let mut given = Vec::new();
    for task in nameless {
        given.extend(give_id(layout, prefix, &task, &named, author, now(), &mut troubles)?);
    }
    Ok((given, troubles))
}

/// `None` if somebody was faster.
fn give_id(
    layout: &Layout,
    prefix: &str,
    task: &TaskId,
    named: &Named,
    author: &Author,
    ts: String,
    troubles: &mut Vec<String>,
) -> Result<Option<String>> {
    let short_id = short_ids::allocate(layout, prefix, task)?;
    let mut txn = TaskTxn::begin(layout, task)?;
    if txn.snapshot().short_id().is_some_and(|known| named.is_of(known, task)) {
        return Ok(None);
    }
    let data = json!({"short_id": short_id});
    txn.append(&author.event(TASK_SHORT_ID_ASSIGNED, task, ts, data))?;
    if let Err(failure) = txn.write_snapshot() {
        troubles.push(format!("{short_id} is given, but not in the snapshot: {failure}"));
    }
    Ok(Some(short_id))
}
