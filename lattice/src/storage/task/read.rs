//! Reading tasks without a lock: one task from its log, all of them from their snapshots.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Map, Value};

use super::pointing::pointing_at;
use super::short_ids;
use super::stream::{Place, each_in, sum};
use crate::model::config::Config;
use crate::model::event::Event;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::model::reduce::{OpenRun, Snapshot, open_runs, replay};
use crate::storage::dir::Dir;
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
    let warning = passed_over(&snapshot, unreadable);
    Ok(TaskLog { events, snapshot, archived, warning })
}

/// A sentence on so many lines of a task's log.
pub(super) fn passed_over(task: &Snapshot, unreadable: usize) -> Option<String> {
    let what = match unreadable {
        0 => return None,
        1 => "a line of its log is no event".to_owned(),
        count => format!("{count} lines of its log are no events"),
    };
    Some(format!("{}: {what}, which `lattice doctor` names", task.display_id()))
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
    let bytes = match scan::read(&path) {
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
    list(layout, include_archived, json::parse_object, |snapshot, archived| (snapshot, archived))
}

/// What `keep` makes of each, on the core that has read it. With `keys` there are no more than these fields in it: what is
/// passed over is neither understood nor kept.
pub fn list_kept<T: Send>(
    layout: &Layout,
    include_archived: bool,
    keys: Option<&[&str]>,
    keep: impl Fn(Snapshot, bool) -> T + Sync,
) -> (Vec<T>, Vec<String>) {
    match keys {
        Some(keys) => list(layout, include_archived, |bytes| json::parse_fields(bytes, keys), keep),
        None => list(layout, include_archived, json::parse_object, keep),
    }
}

fn list<T: Send>(
    layout: &Layout,
    include_archived: bool,
    parse: impl Fn(&[u8]) -> Option<Map<String, Value>> + Sync,
    keep: impl Fn(Snapshot, bool) -> T + Sync,
) -> (Vec<T>, Vec<String>) {
    let mut warnings = Vec::new();
    let found = all(layout, include_archived, &mut warnings);
    let (active, archive) = (Dir::at(layout.tasks()), Dir::at(layout.archive_tasks()));
    let mut all_kept = Vec::with_capacity(found.len());
    let look = |(task, archived): &(TaskId, bool)| {
        let dir = if *archived { &archive } else { &active };
        load(layout, dir, task, &parse).map(|snapshot| keep(snapshot, *archived))
    };
    scan::each(&found, look, |_, loaded| match loaded {
        Ok(kept) => all_kept.push(kept),
        Err(why) => warnings.push(why),
    });
    (all_kept, warnings)
}

/// The other tasks that may have a relationship to a task.
pub fn read_pointing(layout: &Layout, task: &TaskId) -> Vec<Snapshot> {
    let sources = pointing_at(layout, task).into_iter();
    sources.filter_map(|source| read_snapshot(layout, &source)).collect()
}

/// One task as it is listed.
pub fn read_snapshot(layout: &Layout, task: &TaskId) -> Option<Snapshot> {
    let named = |path: PathBuf| {
        let fields = scan::look_into(&path, json::parse_object).ok()??;
        fields.get("id").is_some_and(|id| id == task.as_str()).then_some(Snapshot(fields))
    };
    let is_logged = || layout.log(task).exists() || layout.snapshot(task).exists();
    let found = named(layout.snapshot(task));
    let archived = || if is_logged() { None } else { named(layout.archived_snapshot(task)) };
    found.or_else(archived).or_else(|| Some(read_task(layout, task).ok()?.1))
}

/// Tasks whose snapshots mention open runs, or with none that is whole: candidates, to be confirmed by
/// [`open_runs_of`]. To look for a word costs far less than to understand them all.
pub fn read_open_runs(layout: &Layout) -> Vec<TaskId> {
    let mentions = |content: &[u8]| {
        str::from_utf8(content).map_or(true, |content| {
            content.contains("\"active_processes\"") || !content.trim_end().ends_with('}')
        })
    };
    let mut candidates = Vec::new();
    let dirs = places(layout, true);
    let dirs = dirs.iter().flat_map(|(tasks, events, _)| [(tasks, "json"), (events, "jsonl")]);
    let dirs: Vec<Place> = dirs.map(|(dir, extension)| (dir.clone(), extension)).collect();
    let (active, archive) = (Dir::at(layout.tasks()), Dir::at(layout.archive_tasks()));
    each_in(&dirs, &mut Vec::new(), &mut |tasks, is_new| {
        let look = |task: &TaskId| {
            let name = task.file_name("json");
            let read = |dir: &Dir| dir.look_into(&name, mentions).ok();
            is_new(task) && read(&active).or_else(|| read(&archive)).unwrap_or(true)
        };
        scan::each(tasks, look, |task, may| candidates.extend(may.then(|| task.clone())));
    });
    candidates.sort();
    candidates
}

/// Every task with a file, in the order of their IDs, `true` for those in the archive; one that is in both places is
/// active.
pub(super) fn all(
    layout: &Layout,
    include_archived: bool,
    warnings: &mut Vec<String>,
) -> Vec<(TaskId, bool)> {
    let mut found = Vec::new();
    for (tasks, events, archived) in places(layout, include_archived) {
        let mut unlisted = Vec::new();
        let (mut here, with_log) = thread::scope(|scope| {
            let with_log = scope.spawn(|| sum(ids_in(&events, "jsonl", &mut unlisted)));
            (task_ids(&tasks, "json", warnings), with_log.join())
        });
        warnings.append(&mut unlisted);
        // Mostly the same ones have a log, and then nobody needs their names again.
        if with_log.ok() != Some(sum(&here)) {
            here.extend(ids_in(&events, "jsonl", &mut Vec::new()));
        }
        found.extend(here.into_iter().map(|task| (task, archived)));
    }
    found.sort_unstable();
    found.dedup_by(|(later, _), (kept, _)| later == kept);
    found
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
    ids_in(dir, extension, warnings).collect()
}

/// The same, one after the other.
pub(super) fn ids_in<'a>(
    dir: &Path,
    extension: &'a str,
    warnings: &mut Vec<String>,
) -> impl Iterator<Item = TaskId> + use<'a> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warnings.push(error.to_string());
            None
        }
    };
    let task = move |name: &str| {
        let (stem, found) = name.rsplit_once('.')?;
        if found == extension { TaskId::parse(stem) } else { None }
    };
    let entries = entries.into_iter().flatten().flatten();
    entries.filter_map(move |entry| task(entry.file_name().to_str()?))
}

pub(super) fn snapshot_path(layout: &Layout, task: &TaskId, archived: bool) -> PathBuf {
    if archived { layout.archived_snapshot(task) } else { layout.snapshot(task) }
}

fn load(
    layout: &Layout,
    dir: &Dir,
    task: &TaskId,
    parse: impl Fn(&[u8]) -> Option<Map<String, Value>>,
) -> Result<Snapshot, String> {
    let name = task.file_name("json");
    if let Ok(Some(fields)) = dir.look_into(&name, parse)
        && fields.get("id").is_some_and(|id| id == task.as_str())
    {
        return Ok(Snapshot(fields));
    }
    match read_task(layout, task) {
        Ok((_, snapshot, _)) => Ok(snapshot),
        Err(failure) => Err(format!("{} cannot be read: {failure}", dir.path(&name).display())),
    }
}
