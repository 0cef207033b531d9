//! All runs of one task, open and ended, by what its log says.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use super::context::Context;
use super::query::{self, OpenRow, State};
use crate::git::drift;
use crate::model::drift::Drift;
use crate::model::event::{Event, PROCESS_STARTED};
use crate::model::ids::{RunId, TaskId};
use crate::process::helper::Helpers;
use crate::storage::task::TaskLog;

/// Each further commit is a call of git.
const COMPARED: usize = 10;

#[derive(Debug, Clone)]
pub struct TaskRun {
    pub run: RunId,
    pub worker: String,
    pub state: State,
    pub commit_sha: String,
    /// Absent where git cannot say it, and for commits of long ago.
    pub drift: Option<Drift>,
    pub started_at: String,
    pub age: Option<Duration>,
    pub remaining: Option<Duration>,
    pub ended: Option<Event>,
    /// Absent once the log has been pruned.
    pub log_path: Option<PathBuf>,
}

/// The newest first. `cheap` is asked before git is: the caller may have read the history of HEAD already.
pub fn of_task(
    ctx: &Context,
    task: &TaskId,
    log: &TaskLog,
    cheap: &dyn Fn(&str) -> Option<Drift>,
    helpers: &mut dyn Helpers,
) -> Vec<TaskRun> {
    let TaskLog { events, snapshot, archived, .. } = log;
    let open = query::open_in(ctx, task, events, snapshot, *archived);
    let open: BTreeMap<RunId, OpenRow> =
        open.into_iter().map(|row| (row.run.clone(), row)).collect();
    let mut ends: HashMap<&str, &Event> = HashMap::new();
    for event in events {
        // Of two ends that a merge has brought together the first counts.
        ends.extend(
            event.ended_run().filter(|run| !ends.contains_key(run)).map(|run| (run, event)),
        );
    }
    let starts = events.iter().rev().filter(|event| event.kind() == PROCESS_STARTED);
    let mut runs: Vec<TaskRun> = starts
        .filter_map(|start| {
            let run = start.run()?;
            Some(task_run(ctx, ends.get(run.as_str()).copied(), start, open.get(&run), run))
        })
        .collect();
    let mut known: BTreeMap<String, Option<Drift>> = BTreeMap::new();
    for run in &mut runs {
        if !known.contains_key(&run.commit_sha) {
            if known.len() == COMPARED {
                break;
            }
            // Outside of git there is nothing to compare with.
            let drift = cheap(&run.commit_sha).or_else(|| {
                drift::of(helpers, &ctx.layout.root, &run.commit_sha).unwrap_or_default()
            });
            known.insert(run.commit_sha.clone(), drift);
        }
        run.drift = known[&run.commit_sha];
    }
    runs
}

fn task_run(
    ctx: &Context,
    ended: Option<&Event>,
    start: &Event,
    open: Option<&OpenRow>,
    run: RunId,
) -> TaskRun {
    let text = |key: &str| start.data().get(key).and_then(|value| value.as_str());
    let log_path = query::log_path(ctx, start, &run);
    TaskRun {
        worker: text("process_type").unwrap_or_default().to_owned(),
        state: open.map_or(State::Ended, |row| row.state),
        commit_sha: text("commit_sha").unwrap_or_default().to_owned(),
        drift: None,
        started_at: start.ts().to_owned(),
        age: open.and_then(|row| row.age),
        remaining: open.and_then(|row| row.remaining),
        ended: ended.cloned(),
        log_path: Some(log_path).filter(|path| path.exists()),
        run,
    }
}
