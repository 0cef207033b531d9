//! One task: its logs, its snapshot, and whether they are where they belong.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::places::{Places, Subject};
use crate::model::event::Event;
use crate::model::finding::{Check, Finding, of_links};
use crate::model::ids::{ArtifactId, RunId, TaskId};
use crate::model::json;
use crate::model::line::{Line, Told};
use crate::model::log_text::{Flaw, examine};
use crate::model::reduce::{OpenRun, Snapshot, open_runs, replay};
use crate::storage::agreement::Said;
use crate::storage::layout::Layout;
use crate::storage::log::{self, Place};
use crate::storage::task::with_unknown_keys;

/// What is known of one task. Its events are not kept: there may be very many of them.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    /// How many events there are on disk, copies in a second log not counted.
    pub(super) lines: u64,
    /// For what is derived from all tasks together.
    pub(super) said: Said,
    /// Whether there is a run without an end.
    pub(super) is_open: bool,
}

/// `more` finds what is not seen in files.
pub(super) fn inspect(
    layout: &Layout,
    dirs: &Places,
    task: &TaskId,
    more: &dyn Fn(&TaskId, &[OpenRun]) -> Vec<Finding>,
) -> Looked {
    let mut looked = Looked { said: Said::UNKNOWN, ..Looked::default() };
    let subject = Subject::new(layout, dirs, task);
    let mut found = Vec::new();
    let (logs, merged);
    let mut known = Vec::new();
    match read(&subject) {
        Err(why) => found.push(Finding::error(Check::JsonlParse, why)),
        Ok(Logs { place: Place::Nowhere, .. }) => found.push(without_log(layout, task)),
        Ok(read) => {
            logs = read;
            let place = logs.place;
            for (path, content) in &logs.contents {
                let (events, flaws) = examine(content);
                known = events;
                found.extend(of_lines(layout, path, flaws));
            }
            let content: &[u8] = match &logs.contents[..] {
                [(_, active), (_, archived)] => {
                    merged = log::merge(active, archived);
                    known = log::briefly(&merged);
                    &merged
                }
                [(_, only)] => only,
                _ => &[],
            };
            looked.lines = known.len() as u64;
            match replay(&known) {
                None => found.push(without_beginning(layout, task, content)),
                Some(state) => {
                    found.extend(misplaced(&subject, place, &known));
                    let archived = log::is_archived(place, &known);
                    found.extend(snapshot(&subject, archived, &state));
                    found.extend(second_ends(&known));
                    found.extend(of_links(task, &state, &|id| layout.has_task(id)));
                    found.extend(artifacts(layout, task, &state));
                    looked.said = Said::by(task, &known, state.short_id());
                    looked.is_open = state.get("active_processes").is_some();
                }
            }
        }
    }
    looked.findings =
        found.into_iter().map(|f| f.of(task)).chain(more(task, &open_runs(&known))).collect();
    looked
}

/// Its events as they were inspected; none where they cannot be read.
pub(super) fn events(layout: &Layout, dirs: &Places, task: &TaskId) -> Vec<Event> {
    let contents =
        read(&Subject::new(layout, dirs, task)).map(|logs| logs.contents).unwrap_or_default();
    match &contents[..] {
        [(_, active), (_, archived)] => log::events(&log::merge(active, archived)),
        [(_, only)] => examine(only).0.into_iter().map(Line::into_event).collect(),
        _ => Vec::new(),
    }
}

/// Where the log is, and what is in it: in each of them, the active one first.
struct Logs {
    place: Place,
    contents: Vec<(PathBuf, Vec<u8>)>,
}

fn read(subject: &Subject<'_>) -> Result<Logs, String> {
    match read_only_log(subject) {
        Some(logs) => Ok(logs),
        None => search(subject.layout, subject.task),
    }
}

/// Nearly always there is one log, and a list says that there is no second one to look for.
fn read_only_log(Subject { layout, dirs, task, names }: &Subject<'_>) -> Option<Logs> {
    let (active, archived) = (&dirs.active.logs, &dirs.archive.logs);
    let (place, dir, path) = if !archived.may_have(&names.log) {
        (Place::Active, active, layout.log(task))
    } else if !active.may_have(&names.log) {
        (Place::Archived, archived, layout.archived_log(task))
    } else {
        return None;
    };
    let content = log::rest_of(&mut dir.open_regular(&names.log)?).ok()?;
    Some(Logs { place, contents: vec![(path, content)] })
}

fn search(layout: &Layout, task: &TaskId) -> Result<Logs, String> {
    // A log that is being archived or unarchived may be missed in both places once, and be gone when it is read.
    for _ in 0..3 {
        let place = log::locate(layout, task).map_err(|failure| failure.to_string())?;
        let (active, archived) = (layout.log(task), layout.archived_log(task));
        let paths = match place {
            Place::Active => vec![active],
            Place::Archived => vec![archived],
            Place::Both => vec![active, archived],
            Place::Nowhere => continue,
        };
        let read = |path: PathBuf| log::whole(&path).map(|content| (path, content));
        match paths.into_iter().map(read).collect::<io::Result<_>>() {
            Ok(contents) => return Ok(Logs { place, contents }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(Logs { place: Place::Nowhere, contents: Vec::new() })
}

fn without_log(layout: &Layout, task: &TaskId) -> Finding {
    let path = name(layout, &layout.log(task));
    let message = format!("{task} has a snapshot and no event log: restore {path} from git");
    Finding::error(Check::MissingLog, message)
}

fn without_beginning(layout: &Layout, task: &TaskId, content: &[u8]) -> Finding {
    let has_snapshot = layout.snapshot(task).exists() || layout.archived_snapshot(task).exists();
    if content.trim_ascii().is_empty() && !has_snapshot {
        let message = format!("the event log of {task} is empty: its creation was interrupted");
        return Finding::warning(Check::MissingLog, message);
    }
    let message = format!(
        "the event log of {task} has lost its beginning; what `doctor --fix` cannot restore may be in git"
    );
    Finding::error(Check::MissingLog, message)
}

fn of_lines(layout: &Layout, path: &Path, flaws: Vec<Flaw>) -> Vec<Finding> {
    let name = name(layout, path);
    let finding = |flaw| match flaw {
        Flaw::Torn { .. } => {
            let message = format!("the final line of {name} is cut off");
            Finding::warning(Check::JsonlParse, message)
        }
        Flaw::Unended { .. } => {
            let message = format!("the final line of {name} lacks its line end");
            Finding::warning(Check::JsonlParse, message)
        }
        Flaw::Broken { line } => {
            Finding::error(Check::JsonlParse, format!("line {line} of {name} is no event"))
        }
        Flaw::Repeated { line, id } => {
            let message = format!("line {line} of {name} repeats the event {id}");
            Finding::warning(Check::DuplicateEvent, message)
        }
        Flaw::SameId { line, id } => {
            let message = format!("line {line} of {name} is another event with the ID {id}");
            Finding::warning(Check::DuplicateEvent, message)
        }
    };
    flaws.into_iter().map(finding).collect()
}

/// Files of the task in two places, or in the one that its log has left.
fn misplaced(subject: &Subject<'_>, place: Place, events: &[Line<'_>]) -> Vec<Finding> {
    let Subject { layout, dirs, task, names } = subject;
    let archive = log::belongs_in_archive(place, events);
    let where_to = if archive { "the archive" } else { "the active tasks" };
    let warn = |what: &str| {
        Finding::warning(
            Check::TaskPlace,
            format!("{what} of {task}, which belongs into {where_to}"),
        )
    };
    let mut findings = Vec::new();
    match place {
        Place::Both => findings.push(Finding::warning(
            Check::TaskPlace,
            format!("{task} has an active and an archived event log; it belongs into {where_to}"),
        )),
        Place::Active if archive => findings.push(warn("the event log is the active one")),
        Place::Archived if !archive => findings.push(warn("the event log is the archived one")),
        _ => {}
    }
    let other = if archive { &dirs.active } else { &dirs.archive };
    let files = [
        (&other.snapshots, &names.snapshot),
        (&other.plans, &names.text),
        (&other.notes, &names.text),
    ];
    let left = files.into_iter().filter(|(dir, file)| dir.has(file));
    findings.extend(
        left.map(|(dir, file)| warn(&format!("{} is left", name(layout, &dir.path(file))))),
    );
    findings
}

/// The snapshot beside the log, against the replay.
fn snapshot(subject: &Subject<'_>, archived: bool, state: &Snapshot) -> Option<Finding> {
    let Subject { layout, dirs, task, names } = subject;
    let dir = if archived { &dirs.archive.snapshots } else { &dirs.active.snapshots };
    // Nearly always it is what a write would make of it.
    let other = |bytes: &[u8]| (!state.is_in_file(bytes)).then(|| bytes.to_vec());
    let bytes = match dir.look_into(&names.snapshot, other) {
        Ok(bytes) => bytes?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("{task} has no snapshot, so other tools do not see it");
            return Some(Finding::warning(Check::SnapshotDrift, message));
        }
        Err(error) => return Some(Finding::error(Check::JsonParse, error.to_string())),
    };
    let path = dir.path(&names.snapshot);
    let Some(Value::Object(found)) = json::parse_line(&bytes) else {
        let message = format!("{} is not a JSON object", name(layout, &path));
        return Some(Finding::error(Check::JsonParse, message));
    };
    let wanted = with_unknown_keys(state, &bytes).0;
    if found == wanted {
        return None;
    }
    let last = |fields: &Map<String, Value>| fields.get("last_event_id").cloned();
    let message = if last(&found) == last(&wanted) {
        let fields = differing(&found, &wanted).join(", ");
        format!("the snapshot of {task} is not what its log says: {fields}")
    } else {
        format!("the snapshot of {task} is not that of the last event in its log")
    };
    Some(Finding::warning(Check::SnapshotDrift, message))
}

fn differing<'a>(found: &'a Map<String, Value>, wanted: &'a Map<String, Value>) -> Vec<&'a str> {
    let mut keys: Vec<&str> = found.keys().chain(wanted.keys()).map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| found.get(*key) != wanted.get(*key));
    keys
}

/// A git merge may bring a second end of a run; the first one counts, and both stay in the log.
fn second_ends(events: &[Line<'_>]) -> Vec<Finding> {
    let ends = events.iter().filter_map(|event| Some((event.ended_run()?, event)));
    let mut firsts = HashMap::new();
    let seconds = ends.filter(|(run, _)| RunId::parse(run).is_some()).filter_map(|(run, event)| {
        (*firsts.entry(run).or_insert(event.id()) != event.id()).then_some(event)
    });
    let message = |event: &Line<'_>| {
        let run = event.ended_run().unwrap_or_default();
        format!("the run {run} has a second end, {}, which does not count", event.id())
    };
    seconds.map(|event| Finding::warning(Check::DuplicateEvent, message(event))).collect()
}

fn artifacts(layout: &Layout, task: &TaskId, state: &Snapshot) -> Vec<Finding> {
    let evidence = state.get("evidence_refs").and_then(Value::as_array).into_iter().flatten();
    let of_artifacts = evidence.filter(|evidence| evidence["source_type"] == "artifact");
    let ids = of_artifacts.filter_map(|evidence| evidence["id"].as_str());
    let finding = |id: &str| match ArtifactId::parse(id) {
        None => {
            let message = format!("{task} refers to {id:?}, which is no artifact ID");
            Some(Finding::warning(Check::MalformedId, message))
        }
        Some(artifact) if !layout.artifact_meta(&artifact).exists() => {
            let message = format!("{task} refers to {id}, which does not exist");
            Some(Finding::warning(Check::MissingArtifact, message))
        }
        Some(_) => None,
    };
    ids.filter_map(finding).collect()
}

/// A path as people name it.
pub(super) fn name(layout: &Layout, path: &Path) -> String {
    path.strip_prefix(&layout.dir).unwrap_or(path).display().to_string()
}
