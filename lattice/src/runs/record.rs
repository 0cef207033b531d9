//! `logs/workers/<RunId>.json`: what stays of a run after its directory is gone.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::directory::{read_json, refuse_newer, unreadable, version};
use crate::model::event::Event;
use crate::model::failure::{Code, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::json;
use crate::model::run::{Engine, Spec, Supervisors};
use crate::storage::layout::Layout;
use crate::storage::replace;

#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    pub spec: Spec,
    pub supervisor: Option<Supervisors>,
    pub engine: Option<Engine>,
    /// The terminal event.
    pub terminal: Value,
}

/// The same, of what an ender has.
#[derive(Serialize)]
pub(super) struct Kept<'a> {
    pub(super) spec: &'a Spec,
    pub(super) supervisor: Option<Supervisors>,
    pub(super) engine: Option<Engine>,
    pub(super) terminal: &'a Map<String, Value>,
}

impl Record {
    pub fn event(&self) -> Option<Event> {
        Event::from_value(self.terminal.clone())
    }
}

pub fn path(layout: &Layout, run: &RunId) -> PathBuf {
    layout.worker_logs().join(format!("{run}.json"))
}

pub(super) fn write(layout: &Layout, kept: &Kept<'_>) -> Result<()> {
    let text = json::pretty_struct(kept);
    // Until it is durable the run's directory is there, and whoever comes next writes it again.
    Ok(replace::replace_then_sync(&path(layout, &kept.spec.run_id), text.as_bytes())?)
}

pub fn read(layout: &Layout, run: &RunId) -> Result<Option<Record>> {
    let path = path(layout, run);
    let Some(value) = value(&path)? else { return Ok(None) };
    refuse_newer(&path, version(&value["spec"]))?;
    serde_json::from_value(value).map(Some).map_err(|error| unreadable(&path, &error))
}

/// Whether a newer build has written it: then nobody here reads it, and nobody removes it.
pub fn is_newer(layout: &Layout, run: &RunId) -> bool {
    read(layout, run).is_err_and(|failure| failure.code() == Code::VersionMismatch)
}

/// The task, also of a record that this build cannot read otherwise.
pub(super) fn task(layout: &Layout, run: &RunId) -> Option<TaskId> {
    let value = value(&path(layout, run)).ok()??;
    value["spec"]["task_id"].as_str().and_then(TaskId::parse)
}

fn value(path: &Path) -> Result<Option<Value>> {
    match fs_err::symlink_metadata(path) {
        Ok(_) => read_json(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The runs that have a record, oldest first: a RunId sorts by its time.
pub fn all(layout: &Layout) -> Result<Vec<RunId>> {
    let entries = match fs_err::read_dir(layout.worker_logs()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut runs: Vec<RunId> = entries
        .filter_map(|entry| RunId::parse(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?))
        .collect();
    runs.sort();
    Ok(runs)
}
