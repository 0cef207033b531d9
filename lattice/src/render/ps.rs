//! Runs as a table.

use std::time::Duration;

use serde_json::Value;

use lattice::model::event::{Event, PROCESS_COMPLETED};
use lattice::runs::query::State;

use super::clock::{Clock, short};
use super::event::one_line;
use super::paint::Paint;
use super::table::{self, Cell};
use super::worker::{suffix, suffix_of};

const HEADINGS: [&str; 9] =
    ["TASK", "WORKER", "STATE", "AGE", "LEFT", "COST", "RUN", "COMMIT", "LAST OUTPUT"];

/// In a pipe, where no width says how much is too much.
const LONGEST: usize = 200;

/// A run in a list.
pub(crate) struct Row {
    pub(crate) run: String,
    pub(crate) task: String,
    pub(crate) short_id: Option<String>,
    pub(crate) title: String,
    pub(crate) archived: bool,
    pub(crate) worker: String,
    pub(crate) commit_sha: String,
    pub(crate) started_at: String,
    pub(crate) state: State,
    pub(crate) age: Option<Duration>,
    pub(crate) remaining: Option<Duration>,
    pub(crate) engine_pid: Option<i32>,
    pub(crate) supervisor_pid: Option<i32>,
    pub(crate) log_path: String,
    pub(crate) log_bytes: u64,
    /// As it stands at the end of the log, whatever is in it.
    pub(crate) last_line: Option<String>,
    pub(crate) ended: Option<Event>,
}

pub(crate) fn table(
    rows: &[Row],
    width: Option<usize>,
    clock: &Clock,
    paint: Paint,
) -> Vec<String> {
    let cells: Vec<Vec<Cell>> = rows.iter().map(|one| row(one, clock)).collect();
    table::lines(&HEADINGS, &cells, width, paint)
}

fn row(row: &Row, clock: &Clock) -> Vec<Cell> {
    let task = row.short_id.as_deref().unwrap_or(suffix_of(&row.task, 8));
    let commit: String = row.commit_sha.chars().take(8).collect();
    let time = |time: Option<Duration>| Cell::new(time.map(short).unwrap_or_default());
    vec![
        Cell::painted(one_line(task), Paint::heading),
        Cell::new(table::cut(&one_line(&row.worker), 24)),
        state(row),
        time(row.age.or_else(|| clock.age(&row.started_at))),
        time(row.remaining),
        Cell::new(cost(row.ended.as_ref()).unwrap_or_default()),
        Cell::painted(suffix(&row.run), Paint::heading),
        Cell::new(commit),
        Cell::new(last_words(row)),
    ]
}

/// What it does, or how it ended.
fn state(row: &Row) -> Cell {
    let Some(event) = &row.ended else {
        let paint: fn(Paint, &str) -> String = match row.state {
            State::Running => Paint::good,
            State::Starting | State::Waiting => Paint::hint,
            State::Ending | State::Unsupervised => Paint::warning,
            State::Dead => Paint::error,
            State::Ended => |_, text| text.to_owned(),
        };
        return Cell::painted(row.state.as_str(), paint);
    };
    let seconds = event.data().get("duration_seconds").and_then(Value::as_f64);
    let took = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(short);
    if event.kind() == PROCESS_COMPLETED {
        let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
        return Cell::painted(format!("completed{took}"), Paint::good);
    }
    let took = took.map(|took| format!(" after {took}")).unwrap_or_default();
    let reason = event.data().get("reason").and_then(Value::as_str);
    let reason = reason.map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
    Cell::painted(format!("failed{took}{reason}"), Paint::error)
}

/// Where the engine has told what it took.
fn cost(event: Option<&Event>) -> Option<String> {
    let dollars = event?.data().get("usage")?.get("cost_usd")?.as_f64()?;
    Some(format!("${dollars:.2}"))
}

fn last_words(row: &Row) -> String {
    let words = row.ended.as_ref().and_then(|event| {
        let text = |key: &str| event.data().get(key).and_then(Value::as_str);
        text("error").or_else(|| text("result")).map(str::to_owned)
    });
    let line = words.or_else(|| row.last_line.as_deref().map(plain)).unwrap_or_default();
    table::cut(one_line(&line).trim(), LONGEST).into_owned()
}

/// Without colours and the like. A carriage return begins the line anew, as progress bars do it.
fn plain(line: &str) -> String {
    let text = anstream::adapter::strip_str(line).to_string();
    let shown = text.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    shown.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_output_is_shown_as_a_terminal_leaves_it() {
        assert_eq!(plain("\u{1b}[32mok\u{1b}[0m done"), "ok done");
        assert_eq!(plain("10 %\r20 %\r"), "20 %");
        assert_eq!(plain(""), "");
    }
}
