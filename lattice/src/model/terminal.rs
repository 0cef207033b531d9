//! The two events of a run, as values. The line of the terminal one is published before it is appended.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::event::{Event, PROCESS_COMPLETED, PROCESS_FAILED, PROCESS_STARTED};
use super::ids::{ArtifactId, EventId, TaskId};
use super::outcome::{Conclusion, EndedBy, Facts, Reason, Survivors};
use super::run::Spec;
use super::suspect::Suspect;
use super::usage::Share;
use super::words::{Outcome, UNKNOWN_ERROR, Words};

/// `process_started`: its ID is the run's.
pub fn started(spec: &Spec) -> Event {
    let mut data = json!({
        "process_type": spec.worker,
        "commit_sha": spec.commit_sha,
        "timeout_minutes": minutes(spec.timeout_ms),
        "engine": spec.engine,
        "log_path": spec.log_path,
        "worktree": spec.worktree_path.is_some(),
        "definition": {"path": spec.definition.path, "sha256": spec.definition.sha256},
        "host": spec.host,
        "store": spec.store,
    });
    if let Some(sandbox) = &spec.sandbox {
        data["sandbox"] = json!(sandbox.as_str());
    }
    Event::new(PROCESS_STARTED, &spec.task_id, &spec.actor, spec.started_at.clone(), data)
        .with_id(&spec.run_id)
}

/// What the end of a run found on disk, beside the facts.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    pub artifact: Option<ArtifactId>,
    pub report_missing: bool,
    /// That not all of the report was kept.
    pub report_cut: Option<String>,
    /// It is there, but nobody knows any more what in it is secret.
    pub report_withheld: bool,
    /// Where the report was copied to, below the project root; or why it was not.
    pub report_copy: Option<Result<String, String>>,
    pub preserved_ref: Option<String>,
    /// A worktree that stays, and why.
    pub kept_worktree: Option<(String, String)>,
    pub log_bytes: u64,
    pub suspect: Option<Suspect>,
    /// A control group has held it.
    pub grouped: bool,
    pub log_tail: Option<String>,
    /// What the run said of itself, masked.
    pub words: Option<Words>,
    /// Of agents that the worker asked by itself.
    pub shares: Vec<Share>,
    pub wall_seconds: Option<f64>,
}

/// `process_completed` or `process_failed`, with a new ID: made once for a run, then only copied.
pub fn terminal(
    spec: &Spec,
    facts: &Facts,
    remains: &Remains,
    by: EndedBy,
    conclusion: &Conclusion,
    ts: String,
) -> Event {
    let mut data = Map::new();
    let mut put = |key: &str, value: Value| data.insert(key.to_owned(), value);
    put("process_type", json!(spec.worker));
    put("started_event_id", json!(spec.run_id));
    put("commit_sha", json!(spec.commit_sha));
    put(if conclusion.completed { "result" } else { "error" }, json!(conclusion.sentence));
    put("reason", json!(conclusion.reason));
    if let Some(class) = conclusion.class {
        put("class", json!(class));
    }
    put("exit_code", json!(facts.exit.code));
    put("signal", json!(facts.exit.signal));
    put("duration_seconds", seconds(facts.duration_seconds));
    if facts.waited_seconds.is_some() {
        put("waited_seconds", seconds(facts.waited_seconds));
    }
    put("wall_seconds", seconds(remains.wall_seconds));
    put("cpu_seconds", seconds(facts.cpu_seconds));
    put("max_rss_kb", json!(facts.max_rss_kb));
    put("dirty", json!(facts.dirty));
    put("log_path", json!(spec.log_path));
    put("log_bytes", json!(remains.log_bytes));
    if facts.log_losses.dropped > 0 {
        put("log_truncated", json!(true));
        put("log_dropped_bytes", json!(facts.log_losses.dropped));
    }
    if facts.log_losses.unwritten > 0 {
        put("log_lost_bytes", json!(facts.log_losses.unwritten));
    }
    put("swept", json!(facts.swept));
    put("ended_by", json!(by));
    if let Some(sandbox) = &spec.sandbox {
        put("sandbox", json!(sandbox.as_str()));
    }
    put("containment", json!(containment(facts, remains.grouped)));
    if let Some(artifact) = &remains.artifact {
        put("artifact_id", json!(artifact));
    }
    if remains.report_withheld {
        put("report_not_attached", json!("nobody knows any more what in it is secret"));
    }
    if let Some(why) = &remains.report_cut {
        put("report_cut", json!(why));
    }
    match &remains.report_copy {
        None => {}
        Some(Ok(path)) => drop(put("report_path", json!(path))),
        Some(Err(why)) => drop(put("report_not_copied", json!(why))),
    }
    if let Some(name) = &remains.preserved_ref {
        put("preserved_ref", json!(name));
    }
    if let Some((path, why)) = &remains.kept_worktree {
        put("kept_worktree", json!(path));
        put("kept_because", json!(why));
    }
    match &facts.survivors {
        Survivors::None => {}
        Survivors::Pids(pids) => drop(put("survivors", json!(pids))),
        Survivors::Unknown => drop(put("survivors", json!("unknown"))),
    }
    if facts.stop_requested && conclusion.reason != Reason::Stopped {
        put("stop_requested", json!(true));
    }
    if let Some(signal) = facts.ended_by_signal {
        put("ended_by_signal", json!(signal));
    }
    if let Some(words) = remains.words.as_ref().filter(|words| !words.are_told_by(conclusion)) {
        put("reported", json!(words));
    }
    if facts.lingered {
        put("lingered", json!(true));
    }
    let account = facts.told.as_ref().map(|told| &told.account);
    let own = account.map(|account| account.usage.clone()).unwrap_or_default();
    if let Some(usage) = own.with(&remains.shares) {
        put("usage", usage);
    }
    if let Some(account) = account.filter(|account| !account.denied.is_empty()) {
        put("denied", json!(account.denied));
    }
    if let Some(tail) = remains.log_tail.as_ref().filter(|_| !conclusion.completed) {
        put("log_tail", json!(tail));
    }
    let kind = if conclusion.completed { PROCESS_COMPLETED } else { PROCESS_FAILED };
    Event::new(kind, &spec.task_id, &spec.actor, ts, Value::Object(data))
        .with_id(EventId::generate())
}

/// The end of a run that nobody here supervises, by the word of somebody who knows.
pub fn told(task: &TaskId, start: &Event, words: &Words, ts: String) -> Event {
    let from_start = |key: &str| start.data().get(key).cloned().unwrap_or_default();
    let mut data = json!({
        "process_type": from_start("process_type"),
        "started_event_id": start.id(),
        "commit_sha": from_start("commit_sha"),
        "reason": Reason::Reported,
        "exit_code": null,
        "signal": null,
        "duration_seconds": null,
        "ended_by": EndedBy::Cli,
    });
    let kind = match words.outcome {
        Outcome::Completed => PROCESS_COMPLETED,
        Outcome::Failed => PROCESS_FAILED,
    };
    match (words.outcome, &words.text) {
        (Outcome::Completed, None) => {}
        (Outcome::Completed, Some(text)) => data["result"] = json!(text),
        (Outcome::Failed, text) => data["error"] = json!(text.as_deref().unwrap_or(UNKNOWN_ERROR)),
    }
    let actor = words.actor.as_ref().map_or_else(|| start.actor().clone(), |actor| json!(actor));
    Event::new(kind, task, "", ts, data).with_actor(actor)
}

/// `artifact_attached` for the run's report.
pub fn report_attached(spec: &Spec, artifact: &ArtifactId, ts: String) -> Event {
    let mut data = json!({"artifact_id": artifact});
    if let Some(role) = spec.report.as_ref().and_then(|report| report.role.as_deref()) {
        data["role"] = json!(role);
    }
    Event::new("artifact_attached", &spec.task_id, &spec.actor, ts, data)
        .with_agent_meta(None, Some(spec.run_id.as_str()))
}

/// A limit in minutes, whole where it is.
pub fn minutes(milliseconds: u64) -> Value {
    if milliseconds.is_multiple_of(60_000) {
        json!(milliseconds / 60_000)
    } else {
        json!(limit_minutes(milliseconds))
    }
}

pub fn limit_minutes(milliseconds: u64) -> f64 {
    round3(milliseconds as f64 / 60_000.0)
}

/// Where a kept worktree is, as a terminal event says it.
pub fn kept_worktree(terminal: &Event) -> Option<&Path> {
    terminal.data().get("kept_worktree")?.as_str().map(Path::new)
}

fn seconds(value: Option<f64>) -> Value {
    json!(value.map(round3))
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn containment(facts: &Facts, grouped: bool) -> &'static str {
    match (cfg!(target_os = "linux"), facts.unbound) {
        (true, _) if grouped => "cgroup",
        (true, false) => "subreaper",
        (true, true) => "leader_unbound",
        (false, _) => "process_group",
    }
}
