//! The whole project looked at once, without a lock. Changes nothing.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use super::across::Across;
use super::files;
use super::places::Places;
use super::task;
use crate::model::finding::{Check, Finding};
use crate::model::ids::TaskId;
use crate::model::reduce::OpenRun;
use crate::storage::agreement::Said;
use crate::storage::layout::Layout;
use crate::storage::scan;
use crate::storage::task::{IsNew, Place, each_in, task_ids};

/// What was found, and how much there was to look at.
#[derive(Debug, Default)]
pub struct Survey {
    pub findings: Vec<Finding>,
    /// Tasks with a run that has not ended.
    pub open: Vec<TaskId>,
    pub tasks: u64,
    pub events: u64,
    pub artifacts: u64,
    pub resources: u64,
}

/// `visit` is shown the open runs of every task, for those who know of more than files.
pub fn survey(
    layout: &Layout,
    visit: &(dyn Fn(&TaskId, &[OpenRun]) -> Vec<Finding> + Sync),
) -> Survey {
    let mut survey = Survey::default();
    survey.findings.extend(missing_directories(layout));
    files::config(layout, &mut survey);
    let (mut listed, mut of_tasks, mut said) = (Vec::new(), Vec::new(), Said::default());
    let dirs = Places::of(layout);
    let (strangers, leftovers) = thread::scope(|scope| {
        // Whole directories are listed again for what their names tell: beside the reading of what is in them.
        let told = scope.spawn(|| (strangers(layout), files::leftovers(layout)));
        each_task(layout, &mut listed, &mut |tasks, is_new| {
            let inspect = |id: &TaskId| is_new(id).then(|| task::inspect(layout, &dirs, id, visit));
            scan::each(tasks, inspect, |id, looked| {
                let Some(looked) = looked else { return };
                survey.tasks += 1;
                survey.events += looked.lines;
                said.add(looked.said);
                survey.open.extend(looked.is_open.then(|| id.clone()));
                if !looked.findings.is_empty() {
                    of_tasks.push((id.clone(), looked.findings));
                }
            });
        });
        told.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    listed.extend(strangers);
    survey.open.sort();
    let mut across = Across::default();
    if !said.is_agreed(layout, false) {
        across = Across::look(layout);
    }
    survey.findings.extend(across.files);
    survey.findings.extend(listed);
    of_tasks.extend(across.tasks);
    of_tasks.sort_by(|(one, _), (other, _)| one.cmp(other));
    survey.findings.extend(of_tasks.into_iter().flat_map(|(_, findings)| findings));
    survey.findings.extend(across.index);
    files::artifacts(layout, &mut survey);
    files::resources(layout, &mut survey);
    survey.findings.extend(leftovers);
    survey
}

/// Every task of which there is a file, some at a time.
fn each_task(
    layout: &Layout,
    findings: &mut Vec<Finding>,
    visit: &mut dyn FnMut(&[TaskId], IsNew<'_>),
) {
    let mut unreadable = Vec::new();
    each_in(&places(layout), &mut unreadable, visit);
    findings.extend(unreadable.into_iter().map(|why| Finding::error(Check::JsonParse, why)));
}

fn strangers(layout: &Layout) -> Vec<Finding> {
    let of = |(dir, extension): Place| files::strangers(&dir, extension);
    places(layout).into_iter().flat_map(of).collect()
}

fn places(layout: &Layout) -> [Place; 4] {
    [
        (layout.events(), "jsonl"),
        (layout.archive_events(), "jsonl"),
        (layout.tasks(), "json"),
        (layout.archive_tasks(), "json"),
    ]
}

/// Every task of which there is a file, by its ID.
pub(super) fn all_tasks(layout: &Layout) -> BTreeSet<TaskId> {
    let ids = |(dir, extension): Place| task_ids(&dir, extension, &mut Vec::new());
    places(layout).into_iter().flat_map(ids).collect()
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
