//! Runs that nothing but an event log remembers, because their records were pruned or never made.

use std::io;

use crate::model::ids::{RunId, TaskId};
use crate::storage::layout::Layout;
use crate::storage::log;

/// The runs in all logs whose IDs end in `wanted` (upper case). Reads every log, so it is the last place to look.
pub(super) fn matching(layout: &Layout, wanted: &str) -> io::Result<Vec<(RunId, TaskId)>> {
    let mut found = Vec::new();
    for directory in [layout.events(), layout.archive_events()] {
        let entries = match fs_err::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl"));
            let Some(task) = name.and_then(TaskId::parse) else { continue };
            let runs = log::read(&path)?.into_iter().filter_map(|event| event.run());
            let matching = runs.filter(|run| run.as_str().to_ascii_uppercase().ends_with(wanted));
            found.extend(matching.map(|run| (run, task.clone())));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
