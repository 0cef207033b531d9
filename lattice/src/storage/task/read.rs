//! Reading tasks without a lock: one task from its log, all of them from their snapshots.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::short_ids;
use crate::model::config::Config;
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::model::reduce::{OpenRun, Snapshot, open_runs, replay};
use crate::storage::layout::Layout;
use crate::storage::log::{self, History};
use crate::storage::scan;

/// A task as its log tells it.
pub struct TaskLog {
    pub events: Vec<Event>,
    pub snapshot: Snapshot,
    pub archived: bool,
    /// A sentence, if there are lines that are no events.
    pub warning: Option<String>,
}

/// Reads a task from its log; `true` if it is archived.
pub fn read_task(layout: &Layout, task: &TaskId) -> Result<(Vec<Event>, Snapshot, bool)> {
    let TaskLog { events, snapshot, archived, .. } = read_task_log(layout, task)?;
    Ok((events, snapshot, archived))
}

/// The same for those who say what they had to pass over.
pub fn read_task_log(layout: &Layout, task: &TaskId) -> Result<TaskLog> {
    let history = log::read_history(layout, task)?.ok_or_else(|| not_found(task.as_str()))?;
    let History { events, archived, unreadable, .. } = history;
    let snapshot = replay(&events).ok_or_else(|| not_created(layout, task))?;
    let what = match unreadable {
        0 => None,
        1 => Some("a line of its log is no event".to_owned()),
        count => Some(format!("{count} lines of its log are no events")),
    };
    let warning =
        what.map(|what| format!("{}: {what}, which `lattice doctor` names", snapshot.display_id()));
    Ok(TaskLog { events, snapshot, archived, warning })
}

/// The open runs of a task by its log.
pub fn open_runs_of(layout: &Layout, task: &TaskId) -> Result<Vec<OpenRun>> {
    Ok(open_runs(&read_task(layout, task)?.0))
}

/// A full or short ID in any case. A full one is not looked up.
pub fn resolve_task(layout: &Layout, text: &str) -> Result<TaskId> {
    if let Some(task) = TaskId::parse(text) {
        return Ok(task);
    }
    if short_ids::is_short_id(text) {
        return short_ids::look_up(layout, text).ok_or_else(|| not_found(text));
    }
    Err(Failure::new(Code::InvalidId, format!("'{text}' is neither a short ID nor a full task ID"))
        .hint("`lattice list` shows the IDs of all tasks"))
}

/// The project's configuration.
pub fn read_config(layout: &Layout) -> Result<Config> {
    let path = layout.config();
    let bytes = match fs_err::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let why =
                format!("`{}` is missing: the project was not set up to the end", path.display());
            return Err(Failure::new(Code::NotInitialized, why).hint("lattice init"));
        }
        other => other?,
    };
    match json::parse_line(&bytes) {
        Some(value @ Value::Object(_)) => Ok(Config::from_value(value)),
        _ => Err(Failure::new(
            Code::ValidationError,
            format!("`{}` is not a JSON object", path.display()),
        )
        .hint("correct it by hand, or restore it from git")),
    }
}

/// All snapshots by full ID, `true` for archived ones, and a sentence for each that could not be read. A task
/// whose snapshot is missing or broken is computed from its log.
pub fn list_snapshots(
    layout: &Layout,
    include_archived: bool,
) -> (Vec<(Snapshot, bool)>, Vec<String>) {
    let mut warnings = Vec::new();
    let found = all(layout, include_archived, &mut warnings);
    let mut snapshots = Vec::with_capacity(found.len());
    scan::each(
        &found,
        |(task, (tasks, _))| load(layout, tasks, task),
        |(_, (_, archived)), loaded| match loaded {
            Ok(snapshot) => snapshots.push((snapshot, *archived)),
            Err(why) => warnings.push(why),
        },
    );
    (snapshots, warnings)
}

/// Tasks whose snapshots mention open runs: candidates, to be confirmed by [`open_runs_of`].
pub fn read_open_runs(layout: &Layout) -> Vec<TaskId> {
    mentioning(layout, "\"active_processes\"")
}

/// The other tasks that speak of a task in their snapshots, and may have a relationship to it.
pub fn read_mentioning(layout: &Layout, task: &TaskId) -> Vec<Snapshot> {
    let others = mentioning(layout, task.as_str()).into_iter().filter(|other| other != task);
    others.filter_map(|other| read_snapshot(layout, &other)).collect()
}

/// One task as it is listed.
pub fn read_snapshot(layout: &Layout, task: &TaskId) -> Option<Snapshot> {
    let is_active = layout.snapshot(task).exists() || layout.log(task).exists();
    let tasks = if is_active { layout.tasks() } else { layout.archive_tasks() };
    load(layout, &tasks, task).ok()
}

/// Tasks with a text in their snapshots, or with none that is whole: to look for it costs far less than to
/// understand them all.
fn mentioning(layout: &Layout, text: &str) -> Vec<TaskId> {
    let may_mention = |(task, (tasks, _)): &Found| {
        let content = scan::read(&tasks.join(format!("{task}.json"))).unwrap_or_default();
        str::from_utf8(&content)
            .map_or(true, |content| content.contains(text) || !content.trim_end().ends_with('}'))
    };
    let mut candidates = Vec::new();
    let all = all(layout, true, &mut Vec::new());
    scan::each(&all, may_mention, |(task, _), may| candidates.extend(may.then(|| task.clone())));
    candidates
}

/// A task, where its snapshot should be, and whether that is the archive.
type Found = (TaskId, (PathBuf, bool));

/// Every task with a file, by its name; one that is in both places is active.
fn all(layout: &Layout, include_archived: bool, warnings: &mut Vec<String>) -> Vec<Found> {
    let mut found = BTreeMap::new();
    for (tasks, events, archived) in places(layout, include_archived) {
        let with_snapshot = task_ids(&tasks, "json", warnings);
        for task in with_snapshot.into_iter().chain(task_ids(&events, "jsonl", warnings)) {
            found.entry(task).or_insert_with(|| (tasks.clone(), archived));
        }
    }
    found.into_iter().collect()
}

pub(super) fn not_found(text: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no task {text}"))
        .hint("`lattice list --include-archived` shows all tasks")
}

/// An empty log, or one that lost its beginning.
pub(super) fn not_created(layout: &Layout, task: &TaskId) -> Failure {
    let path = layout.log(task);
    Failure::new(
        Code::NotFound,
        format!("the event log of {task} has no task_created, so there is no such task"),
    )
    .hint(format!("lattice doctor --fix, or restore it from git: git log -- {}", path.display()))
}

/// Directories of snapshots and of logs, the active ones first.
fn places(layout: &Layout, include_archived: bool) -> Vec<(PathBuf, PathBuf, bool)> {
    let mut places = vec![(layout.tasks(), layout.events(), false)];
    if include_archived {
        places.push((layout.archive_tasks(), layout.archive_events(), true));
    }
    places
}

/// Tasks that have a file in a directory. Other files, such as `_lifecycle.jsonl`, are no task's.
pub fn task_ids(dir: &Path, extension: &str, warnings: &mut Vec<String>) -> Vec<TaskId> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            warnings.push(error.to_string());
            return Vec::new();
        }
    };
    let names = entries.flatten().filter_map(|entry| {
        let name = PathBuf::from(entry.file_name());
        (name.extension()? == extension).then(|| TaskId::parse(name.file_stem()?.to_str()?))?
    });
    names.collect()
}

fn load(layout: &Layout, tasks: &Path, task: &TaskId) -> Result<Snapshot, String> {
    let path = tasks.join(format!("{task}.json"));
    let from_file = scan::read(&path).ok().and_then(|bytes| json::parse_line(&bytes));
    if let Some(Value::Object(fields)) = from_file
        && fields.get("id").is_some_and(|id| id == task.as_str())
    {
        return Ok(Snapshot(fields));
    }
    match read_task(layout, task) {
        Ok((_, snapshot, _)) => Ok(snapshot),
        Err(failure) => Err(format!("{} cannot be read: {failure}", path.display())),
    }
}
