//! The runs of a task on its page.

use std::time::Duration;

use serde_json::Value;

use lattice::model::drift::Drift;
use lattice::model::event::Event;
use lattice::runs::task_runs::TaskRun;

use super::clock::{Clock, short};
use super::event::one_line;
use super::plural::count;
use super::worker::{outcome_word, suffix};

/// So many are looked at; the others are named by their number.
const SHOWN: usize = 10;

/// Two lines each: `  <worker> <run>  <what it does or how it ended>, at <commit and drift>`, and where its log is.
pub(crate) fn lines(runs: &[TaskRun], clock: &Clock) -> Vec<String> {
    let mut lines: Vec<String> =
        runs.iter().take(SHOWN).flat_map(|run| [line(run, clock), log(run)]).collect();
    if runs.len() > SHOWN {
        let older = runs.len() - SHOWN;
        lines.push(format!("  and {older} older: lattice worker ps --all"));
    }
    lines
}

fn line(run: &TaskRun, clock: &Clock) -> String {
    let (worker, id) = (one_line(&run.worker), suffix(run.run.as_str()));
    let state = match &run.ended {
        Some(event) => ended(event, clock),
        None => open(run),
    };
    let commit: String = one_line(&run.commit_sha).chars().take(8).collect();
    let words = run.ended.as_ref().map(words).unwrap_or_default();
    format!("  {worker} {id}  {state}, at {commit}{}{words}", drift(run.drift))
}

fn log(run: &TaskRun) -> String {
    match &run.log_path {
        Some(path) => format!("    log: {}", path.display()),
        None => "    log: pruned".to_owned(),
    }
}

fn open(run: &TaskRun) -> String {
    let age = run.age.map(|age| format!(" for {}", short(age))).unwrap_or_default();
    let left = run.remaining.map(|left| format!(", {} left", short(left))).unwrap_or_default();
    format!("{}{age}{left}", run.state.as_str())
}

fn ended(event: &Event, clock: &Clock) -> String {
    let seconds = event.data().get("duration_seconds").and_then(Value::as_f64);
    let took = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let took = took.map(|took| format!(" after {}", short(took))).unwrap_or_default();
    format!("{}{took}, {}", outcome_word(event), clock.both(event.ts()))
}

/// Why, in a word and a sentence.
fn words(event: &Event) -> String {
    let text = |key: &str| event.data().get(key).and_then(Value::as_str).map(one_line);
    let reason = text("reason").filter(|reason| reason != "exited");
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    match text("error").or_else(|| text("result")) {
        Some(words) => format!(": {words}{reason}"),
        None => reason,
    }
}

fn drift(drift: Option<Drift>) -> String {
    let commits = |number: usize| count(number, "commit");
    match drift.and_then(Drift::counts) {
        None => String::new(),
        Some((0, 0)) => " (HEAD)".to_owned(),
        Some((behind, 0)) => format!(" ({} behind HEAD)", commits(behind)),
        Some((0, ahead)) => format!(" ({} ahead of HEAD)", commits(ahead)),
        Some((behind, ahead)) => format!(" ({} behind HEAD, {ahead} not in it)", commits(behind)),
    }
}
