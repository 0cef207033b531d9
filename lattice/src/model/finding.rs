//! What `doctor` has to say: one sentence on one thing that is not as it should be.

use serde_json::{Map, Value, json};

use super::ids::TaskId;
use super::reduce::Snapshot;

/// Only an error makes `doctor` fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
}

/// What is checked. The names up to `AliasIntegrity` are those of the Python tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    JsonParse,
    JsonlParse,
    SnapshotDrift,
    MissingReference,
    MissingArtifact,
    SelfLink,
    DuplicateEdge,
    MalformedId,
    GlobalLogConsistency,
    AliasIntegrity,
    TaskPlace,
    MissingLog,
    DuplicateEvent,
    Run,
    Worktree,
    Leftover,
    MissingDirectory,
    Config,
}

impl Check {
    /// In the order of the answer, each with what is said when nothing is wrong.
    pub const ALL: [(Self, &str, &str); 18] = [
        (Self::JsonParse, "json_parse", "All JSON files can be read"),
        (Self::JsonlParse, "jsonl_parse", "All lines of the event logs are whole"),
        (Self::SnapshotDrift, "snapshot_drift", "All snapshots are what their logs say"),
        (Self::MissingReference, "missing_reference", "All linked tasks exist"),
        (Self::MissingArtifact, "missing_artifact", "All attached artifacts exist"),
        (Self::SelfLink, "self_link", "No task is linked to itself"),
        (Self::DuplicateEdge, "duplicate_edge", "No link is there twice"),
        (Self::MalformedId, "malformed_id", "All IDs are well-formed"),
        (Self::GlobalLogConsistency, "global_log_consistency", "The life-cycle log is complete"),
        (Self::AliasIntegrity, "alias_integrity", "Short IDs and tasks agree"),
        (Self::TaskPlace, "task_place", "Every task is in one place"),
        (Self::MissingLog, "missing_log", "Every task has its event log"),
        (Self::DuplicateEvent, "duplicate_event", "No event is there twice"),
        (Self::Run, "run", "Every open run is supervised"),
        (Self::Worktree, "worktree", "No worktree is left of an ended run"),
        (Self::Leftover, "leftover", "Nothing is left of interrupted writes"),
        (Self::MissingDirectory, "missing_directory", "All directories are there"),
        (Self::Config, "config", "The configuration is understood"),
    ];

    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().find(|(check, _, _)| *check == self);
        known.expect("all checks are listed").1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    pub level: Level,
    pub message: String,
    pub task: Option<TaskId>,
}

impl Finding {
    pub fn error(check: Check, message: impl Into<String>) -> Self {
        Self { check, level: Level::Error, message: message.into(), task: None }
    }

    pub fn warning(check: Check, message: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, message: message.into(), task: None }
    }

    #[must_use]
    pub fn of(mut self, task: &TaskId) -> Self {
        self.task = Some(task.clone());
        self
    }

    pub fn to_value(&self) -> Value {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        json!({
            "check": self.check.as_str(), "level": level, "message": self.message,
            "task_id": self.task.as_ref().map(TaskId::as_str),
        })
    }
}

/// What is odd in a task's links. Nothing of it hurts, and only a person knows what was meant.
pub fn of_links(
    task: &TaskId,
    snapshot: &Snapshot,
    exists: &dyn Fn(&TaskId) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut warn = |check, message| findings.push(Finding::warning(check, message).of(task));
    let links = snapshot.get("relationships_out").and_then(Value::as_array);
    let links: Vec<&Map<String, Value>> =
        links.into_iter().flatten().filter_map(Value::as_object).collect();
    let text = |link: &Map<String, Value>, key: &str| {
        link.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (index, link) in links.iter().enumerate() {
        let (kind, target) = (text(link, "type"), text(link, "target_task_id"));
        match TaskId::parse(&target) {
            None => {
                warn(Check::MalformedId, format!("{task} {kind} {target:?}, which is no task ID"));
            }
            Some(id) if id == *task => {
                warn(Check::SelfLink, format!("{task} {kind} itself"));
            }
            Some(id) if !exists(&id) => {
                warn(
                    Check::MissingReference,
                    format!("{task} {kind} {target}, which does not exist"),
                );
            }
            Some(_) => {}
        }
        let same = |other: &&&Map<String, Value>| {
            text(other, "type") == kind && text(other, "target_task_id") == target
        };
        if links[..index].iter().any(|other| same(&other)) {
            warn(Check::DuplicateEdge, format!("{task} {kind} {target} more than once"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let task = TaskId::parse("task_01KA00000000000000000000T1").unwrap();
        let link = |target: &str| json!({"type": "blocks", "target_task_id": target});
        let (gone, there) = ("task_01KA00000000000000000000T2", "task_01KA00000000000000000000T3");
        let links =
            json!([link(task.as_str()), link(gone), link(there), link(there), link("x"), 7]);
        let Value::Object(fields) = json!({"relationships_out": links}) else { unreachable!() };
        let found = of_links(&task, &Snapshot(fields), &|id| id.as_str() == there);
        let checks: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(checks, ["self_link", "missing_reference", "duplicate_edge", "malformed_id"]);
    }
}
