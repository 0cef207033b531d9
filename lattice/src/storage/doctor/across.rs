//! All tasks side by side, for what is wrong between them: this takes memory for each of them.

use super::index::Index;
use super::places::Places;
use super::survey::all_tasks;
use super::task;
use crate::model::finding::Finding;
use crate::model::ids::TaskId;
use crate::model::reduce::replay;
use crate::storage::layout::Layout;
use crate::storage::lifecycle::Recorded;
use crate::storage::scan;

#[derive(Default)]
pub(super) struct Across {
    /// Of the life-cycle log and the index as files.
    pub(super) files: Vec<Finding>,
    pub(super) tasks: Vec<(TaskId, Vec<Finding>)>,
    /// Of entries that are no task's, and counters.
    pub(super) index: Vec<Finding>,
}

impl Across {
    pub(super) fn look(layout: &Layout) -> Self {
        let mut across = Self::default();
        let recorded = Recorded::read(layout, &mut across.files);
        let mut index = Index::read(layout, &mut across.files);
        let all: Vec<TaskId> = all_tasks(layout).into_iter().collect();
        let dirs = Places::of(layout);
        let look = |id: &TaskId| {
            let events = task::events(layout, &dirs, id);
            let state = replay(&events);
            let short_id = state.as_ref().map(|state| state.short_id().map(str::to_owned));
            (recorded.missing(id, &events), short_id)
        };
        scan::each(&all, look, |id, (mut findings, short_id)| {
            match short_id {
                None => index.pass_over(id),
                Some(None) => {}
                Some(Some(short_id)) => findings.extend(index.compare(id, &short_id)),
            }
            if !findings.is_empty() {
                across.tasks.push((id.clone(), findings));
            }
        });
        across.index = index.finish(layout);
        across
    }
}
