//! One task: its logs, its snapshot, and whether they are where they belong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::model::event::Event;
use crate::model::finding::{Check, Finding, of_links};
use crate::model::ids::{ArtifactId, RunId, TaskId};
use crate::model::json;
use crate::model::log_text::{Flaw, examine};
use crate::model::reduce::{Snapshot, replay};
use crate::storage::agreement::Said;
use crate::storage::layout::Layout;
use crate::storage::log::{self, Place};
use crate::storage::scan;
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
    task: &TaskId,
    more: &dyn Fn(&TaskId, &[Event]) -> Vec<Finding>,
) -> Looked {
    let mut looked = Looked { said: Said::UNKNOWN, ..Looked::default() };
    let mut found = Vec::new();
    let mut known = Vec::new();
    match read(layout, task) {
        Err(why) => found.push(Finding::error(Check::JsonlParse, why)),
        Ok(Logs { place: Place::Nowhere, .. }) => found.push(without_log(layout, task)),
        Ok(Logs { place, contents }) => {
            for (path, content) in &contents {
                let (events, flaws) = examine(content);
                known = events;
                found.extend(of_lines(layout, path, flaws));
            }
            let content = match &contents[..] {
                [(_, active), (_, archived)] => {
                    let merged = log::merge(active, archived);
                    known = log::events(&merged);
                    Cow::from(merged)
                }
                [(_, only)] => Cow::from(only),
                _ => Cow::default(),
            };
            looked.lines = known.len() as u64;
            match replay(&known) {
                None => found.push(without_beginning(layout, task, &content)),
                Some(state) => {
                    found.extend(places(layout, task, place, &known));
                    found.extend(snapshot(layout, task, place, &known, &state));
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
        found.into_iter().map(|finding| finding.of(task)).chain(more(task, &known)).collect();
    looked
}

/// Its events as they were inspected; none where they cannot be read.
pub(super) fn events(layout: &Layout, task: &TaskId) -> Vec<Event> {
    let contents = read(layout, task).map(|logs| logs.contents).unwrap_or_default();
    match &contents[..] {
        [(_, active), (_, archived)] => log::events(&log::merge(active, archived)),
        [(_, only)] => examine(only).0,
        _ => Vec::new(),
    }
}

/// Where the log is, and what is in it: in each of them, the active one first.
struct Logs {
    place: Place,
    contents: Vec<(PathBuf, Vec<u8>)>,
}

fn read(layout: &Layout, task: &TaskId) -> Result<Logs, String> {
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
fn places(layout: &Layout, task: &TaskId, place: Place, events: &[Event]) -> Vec<Finding> {
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
    let (snapshot, texts) = if archive {
        (layout.snapshot(task), [layout.plan(task), layout.note(task)])
    } else {
        let texts = [layout.archived_plan(task), layout.archived_note(task)];
        (layout.archived_snapshot(task), texts)
    };
    if snapshot.exists() {
        findings.push(warn(&format!("{} is left", name(layout, &snapshot))));
    }
    let left = texts.iter().filter(|path| path.exists());
    findings.extend(left.map(|path| warn(&format!("{} is left", name(layout, path)))));
    findings
}

/// The snapshot beside the log, against the replay.
fn snapshot(
    layout: &Layout,
    task: &TaskId,
    place: Place,
    events: &[Event],
    state: &Snapshot,
) -> Option<Finding> {
    let archived = log::is_archived(place, events);
    let path = if archived { layout.archived_snapshot(task) } else { layout.snapshot(task) };
    let bytes = match scan::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("{task} has no snapshot, so other tools do not see it");
            return Some(Finding::warning(Check::SnapshotDrift, message));
        }
        Err(error) => return Some(Finding::error(Check::JsonParse, error.to_string())),
    };
    // Nearly always it is what a write would make of it.
    if state.is_in_file(&bytes) {
        return None;
    }
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
fn second_ends(events: &[Event]) -> Vec<Finding> {
    let ends = events.iter().filter_map(|event| Some((event.ended_run()?, event)));
    let mut firsts = HashMap::new();
    let seconds = ends.filter(|(run, _)| RunId::parse(run).is_some()).filter_map(|(run, event)| {
        (*firsts.entry(run).or_insert(event.id()) != event.id()).then_some(event)
    });
    let message = |event: &Event| {
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
