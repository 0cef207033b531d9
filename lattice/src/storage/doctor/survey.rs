//! The whole project looked at once, without a lock. Changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use super::files;
use super::index::Index;
use super::task;
use crate::model::event::Event;
use crate::model::finding::{Check, Finding};
use crate::model::ids::TaskId;
use crate::storage::layout::Layout;
use crate::storage::lifecycle;
use crate::storage::scan;
use crate::storage::task::task_ids;

/// What was found, and how much there was to look at.
#[derive(Debug, Default)]
pub struct Survey {
    pub findings: Vec<Finding>,
    pub tasks: u64,
    pub events: u64,
    pub artifacts: u64,
    pub resources: u64,
}

/// `visit` is shown the events of every task, for those who know of more than files.
pub fn survey(layout: &Layout, visit: &mut dyn FnMut(&TaskId, &[Event]) -> Vec<Finding>) -> Survey {
    let mut survey = Survey::default();
    survey.findings.extend(missing_directories(layout));
    files::config(layout, &mut survey);
    let recorded = lifecycle::Recorded::read(layout, &mut survey.findings);
    let mut index = Index::read(layout, &mut survey.findings);
    let all: Vec<TaskId> = all_tasks(layout, &mut survey.findings).into_iter().collect();
    scan::each(
        &all,
        |id| task::inspect(layout, id),
        |id, looked| {
            survey.tasks += 1;
            survey.events += looked.lines;
            survey.findings.extend(looked.findings);
            survey.findings.extend(recorded.missing(id, &looked.events));
            survey.findings.extend(visit(id, &looked.events));
            match &looked.snapshot {
                Some(snapshot) => survey.findings.extend(index.compare(id, snapshot)),
                None => index.pass_over(id),
            }
        },
    );
    survey.findings.extend(index.finish(layout));
    files::artifacts(layout, &mut survey);
    files::resources(layout, &mut survey);
    files::leftovers(layout, &mut survey.findings);
    survey
}

/// Every task of which there is a file, by its ID.
pub(super) fn all_tasks(layout: &Layout, findings: &mut Vec<Finding>) -> BTreeSet<TaskId> {
    let mut all = BTreeSet::new();
    let places = [
        (layout.events(), "jsonl"),
        (layout.archive_events(), "jsonl"),
        (layout.tasks(), "json"),
        (layout.archive_tasks(), "json"),
    ];
    for (dir, extension) in places {
        let mut unreadable = Vec::new();
        all.extend(task_ids(&dir, extension, &mut unreadable));
        findings.extend(unreadable.into_iter().map(|why| Finding::error(Check::JsonParse, why)));
        files::strangers(&dir, extension, findings);
    }
    all
}

fn missing_directories(layout: &Layout) -> Option<Finding> {
    let missing = layout.missing_dirs();
    let name = |dir: &Path| dir.strip_prefix(&layout.dir).unwrap_or(dir).display().to_string();
    let names: Vec<String> = missing.iter().map(|dir| name(dir)).collect();
    (!names.is_empty()).then(|| {
        let message = format!("git keeps no empty directories; missing: {}", names.join(", "));
        Finding::warning(Check::MissingDirectory, message)
    })
}
