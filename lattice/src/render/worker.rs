//! Workers and runs as text.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use lattice::model::event::{Event, PROCESS_COMPLETED};
use lattice::runs::query::View;
use lattice::runs::start::Started;
use lattice::storage::definitions::Found;

use super::clock::Clock;
use super::event::{actor_text, one_line};
use super::paint::Paint;
use super::usage;

/// One definition in a list.
pub(crate) fn definition(found: &Found, paint: Paint) -> String {
    match &found.result {
        Ok(definition) => {
            let (name, engine) = (one_line(&definition.name), definition.engine.name());
            let (limit, about) = (minutes(definition.timeout), one_line(&definition.description));
            let place = if definition.worktree { "worktree" } else { "in-place" };
            format!("  {name:<25} {engine:<10} {limit}m  {place}  {about}").trim_end().to_owned()
        }
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!(
                "  {}: {}",
                paint.error(&found.path.display().to_string()),
                one_line(&problems.join("; "))
            )
        }
    }
}

/// Minutes as a number that is whole if it can be.
pub(crate) fn minutes(duration: Duration) -> Value {
    if duration.as_secs().is_multiple_of(60) && duration.subsec_nanos() == 0 {
        Value::from(duration.as_secs() / 60)
    } else {
        Value::from(duration.as_secs_f64() / 60.0)
    }
}

pub(crate) fn started(started: &Started) -> String {
    let task = started.short_id.as_deref().unwrap_or(suffix_of(started.task.as_str(), 8));
    let commit: String = started.commit_sha.chars().take(8).collect();
    let (worker, pid) = (one_line(&started.worker), started.warden_pid);
    let does = if started.waits { "waits to start" } else { "started" };
    let mut lines = vec![format!("Worker {worker} {does} for {task} (PID {pid}, commit {commit})")];
    lines.push(format!("  Log: {}", started.log_path.display()));
    lines.extend(
        started.worktree_path.as_ref().map(|path| format!("  Worktree: {}", path.display())),
    );
    lines.push(format!("  Event: {}", started.run));
    lines.join("\n")
}

/// The end of a run in one line.
pub(crate) fn outcome(event: &Event) -> String {
    let data = event.data();
    let text = |key: &str| data.get(key).and_then(Value::as_str).map(one_line);
    let words = text("error").or_else(|| text("result")).unwrap_or("no further words".into());
    let worker = text("process_type").unwrap_or("?".into());
    // That it exited is in the words already.
    let reason = text("reason").filter(|reason| reason != "exited");
    let mut facts: Vec<String> = reason.map(Cow::into_owned).into_iter().collect();
    facts.extend(
        data.get("duration_seconds").and_then(Value::as_f64).map(|seconds| format!("{seconds} s")),
    );
    facts.extend(text("preserved_ref").map(|name| format!("work saved in {name}")));
    facts.extend(text("kept_worktree").map(|path| format!("worktree kept: {path}")));
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    format!("Worker {worker} {}: {words}{facts}", outcome_word(event))
}

pub(crate) fn outcome_word(event: &Event) -> &'static str {
    if event.kind() == PROCESS_COMPLETED { "completed" } else { "failed" }
}

/// The last characters of a run's ID: the random ones, enough to name it.
pub(crate) fn suffix(run: &str) -> &str {
    suffix_of(run, 6)
}

pub(crate) fn suffix_of(text: &str, length: usize) -> &str {
    text.get(text.len().saturating_sub(length)..).unwrap_or(text)
}

/// Everything about one run.
pub(crate) fn page(view: &View, clock: &Clock, paint: Paint) -> String {
    let data = view.started.data();
    let text = |key: &str| data.get(key).and_then(Value::as_str).map_or("?".into(), one_line);
    let mut lines = vec![
        paint.heading(&format!("{} on {}", one_line(&view.worker), task_name(view))),
        format!("Run: {}", view.run),
        format!("State: {}", view.state.as_str()),
        format!(
            "Started: {}  by {}",
            clock.both(view.started.ts()),
            actor_text(view.started.actor())
        ),
        format!("Commit: {}", text("commit_sha")),
    ];
    lines.extend(data.get("timeout_minutes").map(|minutes| format!("Limit: {minutes} min")));
    lines.extend(
        data.get("sandbox")
            .and_then(Value::as_str)
            .map(|kind| format!("Sandbox: {}", one_line(kind))),
    );
    if let Some(spec) = &view.spec {
        lines.push(format!("Command: {}", one_line(&spec.argv.join(" "))));
        let worktree = spec.worktree_path.as_ref().filter(|_| view.ended.is_none());
        lines.extend(worktree.map(|path| format!("Worktree: {}", path.display())));
    } else {
        lines.push("Record: pruned, or never on this machine".to_owned());
    }
    let size = view.log_bytes.map_or("not there".to_owned(), |bytes| format!("{bytes} bytes"));
    lines.push(format!("Log: {}  ({size})", view.log_path.display()));
    if view.ended.is_none()
        && let Some(supervisor) = &view.supervisor
    {
        let shim =
            supervisor.shim.as_ref().map(|shim| format!(", shim {}", shim.pid)).unwrap_or_default();
        lines.push(format!("Supervisors: warden {}{shim}", supervisor.warden.pid));
    }
    if let Some(event) = &view.ended {
        lines.extend(end(event, clock, paint));
    }
    lines.join("\n")
}

fn task_name(view: &View) -> String {
    let short = view.spec.as_ref().and_then(|spec| spec.short_id.as_deref());
    short.map_or_else(|| view.task.to_string(), |short| format!("{short} ({})", view.task))
}

/// All that the terminal event says, in its own words.
fn end(event: &Event, clock: &Clock, paint: Paint) -> Vec<String> {
    const TOLD: [&str; 6] =
        ["process_type", "started_event_id", "commit_sha", "log_path", "log_tail", "usage"];
    let mut lines = vec![
        String::new(),
        paint.heading(&format!("Ended: {}  {}", clock.both(event.ts()), outcome_word(event))),
    ];
    for (key, value) in
        event.data().iter().filter(|(key, value)| !TOLD.contains(&key.as_str()) && !value.is_null())
    {
        let value =
            value.as_str().map_or_else(|| value.to_string(), |text| one_line(text).into_owned());
        lines.push(format!("  {key}: {value}"));
    }
    lines.extend(event.data().get("usage").map(|told| format!("  usage: {}", usage::of_run(told))));
    if let Some(tail) = event.data().get("log_tail").and_then(Value::as_str) {
        lines.push("  log_tail:".to_owned());
        lines.extend(tail.lines().map(|line| format!("    {}", one_line(line))));
    }
    lines
}
