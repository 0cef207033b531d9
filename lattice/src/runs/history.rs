//! All runs that the event logs remember, also those whose records were pruned or never made.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::model::event::PROCESS_STARTED;
use crate::model::failure::Result;
use crate::model::ids::{RunId, TaskId};
use crate::model::reduce;
use crate::storage::layout::Layout;
use crate::storage::task;

/// A run, as its task's log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub task: TaskId,
    pub short_id: Option<String>,
    pub worker: String,
    pub has_ended: bool,
}

/// Reads every log, so it is for commands that ask for just this, and the last place to look for others.
pub fn all(layout: &Layout) -> Result<BTreeMap<RunId, Known>> {
    let mut known = BTreeMap::new();
    for task in tasks(layout)? {
        // A log that has lost its beginning is for `doctor` to name.
        let Ok((events, snapshot, _)) = task::read_task(layout, &task) else { continue };
        for event in events.iter().filter(|event| event.kind() == PROCESS_STARTED) {
            let Some(run) = event.run() else { continue };
            let worker = event.data().get("process_type").and_then(|name| name.as_str());
            let found = Known {
                task: task.clone(),
                short_id: snapshot.short_id().map(str::to_owned),
                worker: worker.unwrap_or("unknown").to_owned(),
                has_ended: reduce::terminal_of(&events, &run).is_some(),
            };
            known.insert(run, found);
        }
    }
    Ok(known)
}

/// The runs whose IDs end in `wanted` (upper case).
pub(super) fn matching(layout: &Layout, wanted: &str) -> Result<Vec<(RunId, TaskId)>> {
    let fits = |run: &RunId| run.as_str().to_ascii_uppercase().ends_with(wanted);
    let found = all(layout)?.into_iter().filter(|(run, _)| fits(run));
    Ok(found.map(|(run, known)| (run, known.task)).collect())
}

fn tasks(layout: &Layout) -> Result<BTreeSet<TaskId>> {
    let mut tasks = BTreeSet::new();
    for directory in [layout.events(), layout.archive_events()] {
        let entries = match fs_err::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        tasks.extend(names.filter_map(|name| TaskId::parse(name.strip_suffix(".jsonl")?)));
    }
    Ok(tasks)
}
