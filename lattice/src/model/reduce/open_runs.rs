//! Which runs of a task have started and not ended, by its log.

use std::collections::HashSet;

use serde_json::Value;

use crate::model::event::{Event, PROCESS_STARTED};
use crate::model::ids::RunId;
use crate::model::line::Told;

/// A run that has started and not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    pub run: RunId,
    /// The worker's name; `unknown` if the event has none.
    pub process_type: String,
    /// `unknown` if the event has none.
    pub commit_sha: String,
    pub started_at: String,
    pub timeout_minutes: Option<f64>,
    pub actor: Value,
    /// The `process_started` event itself.
    pub event: Event,
}

impl OpenRun {
    fn of(event: &Event) -> Option<Self> {
        let text =
            |key| event.data().get(key).and_then(Value::as_str).unwrap_or("unknown").to_owned();
        Some(Self {
            run: event.run()?,
            process_type: text("process_type"),
            commit_sha: text("commit_sha"),
            started_at: event.ts().to_owned(),
            timeout_minutes: event.data().get("timeout_minutes").and_then(Value::as_f64),
            actor: event.actor().clone(),
            event: event.clone(),
        })
    }
}

/// Runs without a terminal event anywhere in the log: a git merge may bring an end before its start.
pub fn open_runs<T: Told>(events: &[T]) -> Vec<OpenRun> {
    let starts = open_starts(&events.iter().collect::<Vec<_>>()).into_iter();
    starts.filter_map(|start| OpenRun::of(&start.whole())).collect()
}

/// The terminal event of a run: of several, the first counts.
pub fn terminal_of<'a>(events: &'a [Event], run: &RunId) -> Option<&'a Event> {
    events.iter().find(|event| event.ended_run() == Some(run.as_str()))
}

/// The `process_started` events of open runs, each ID once.
pub(super) fn open_starts<'a, T: Told>(events: &[&'a T]) -> Vec<&'a T> {
    let mut closed: HashSet<&str> = events.iter().filter_map(|event| event.ended_run()).collect();
    let starts =
        events.iter().filter(|event| event.kind() == PROCESS_STARTED && !event.id().is_empty());
    starts.filter(|event| closed.insert(event.id())).copied().collect()
}
