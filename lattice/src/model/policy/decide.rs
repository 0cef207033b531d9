//! Whether a task may change its status, by all rules in their order.

use serde_json::{Map, Value};

use super::completion::{Review, check_completion};
use super::plan::{PLAN_GATE, Plan, check_plan};
use super::transitions::{check_transition, is_backward};
use crate::model::config::Config;
use crate::model::event::{Event, STATUS_CHANGED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;

const REWORK: [&str; 2] = ["in_progress", "in_planning"];
const CYCLE_LIMIT: u64 = 3;

/// What somebody wants, and what the caller has read for it.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// A status of the project: see [`super::resolve_status`].
    pub to: &'a str,
    pub force: bool,
    pub reason: Option<&'a str>,
    pub plan: &'a Plan,
    pub review: &'a Review,
}

/// A change of status that is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub from: String,
    /// The data of the event.
    pub data: Value,
    /// By the project's order of statuses: the plan is told.
    pub backward: bool,
}

/// Decides on the task as it is under its locks; `None` if it is there already.
pub fn decide(
    config: &Config,
    task: &Snapshot,
    events: &[Event],
    wish: &Wish<'_>,
) -> Result<Option<Move>> {
    let (from, to) = (task.status(), wish.to);
    if from == to {
        return Ok(None);
    }
    wish.unless_forced(check_transition(config, from, to))?;
    if !wish.force {
        check_cycles(config, task, events, to)?;
    }
    wish.unless_forced(check_completion(config, task, to, wish.review))?;
    if to == PLAN_GATE {
        // Whoever forces work without looking at the plan says why, also where the plan would do.
        if wish.force { wish.check_reason()? } else { check_plan(task, wish.plan)? }
    }
    let mut data = Map::new();
    data.insert("from".to_owned(), from.into());
    data.insert("to".to_owned(), to.into());
    if wish.force {
        data.insert("force".to_owned(), true.into());
        data.insert("reason".to_owned(), wish.reason.into());
    }
    let backward = is_backward(config, from, to);
    Ok(Some(Move { from: from.to_owned(), data: data.into(), backward }))
}

impl Wish<'_> {
    /// A rule that `--force` overrides, if there is a reason.
    fn unless_forced(&self, rule: Result<()>) -> Result<()> {
        match rule {
            Err(_) if self.force => self.check_reason(),
            other => other,
        }
    }

    fn check_reason(&self) -> Result<()> {
        if self.reason.is_some_and(|reason| !reason.is_empty()) {
            return Ok(());
        }
        Err(Failure::new(Code::ValidationError, "--force against the workflow needs a --reason")
            .hint("--force --reason \"why it must be\""))
    }
}

/// Work that comes back from review again and again needs somebody's eyes, not another round.
fn check_cycles(config: &Config, task: &Snapshot, events: &[Event], to: &str) -> Result<()> {
    let is_rework = |from: &str, to: &str| from == "review" && REWORK.contains(&to);
    if !is_rework(task.status(), to) {
        return Ok(());
    }
    let text = |event: &Event, key: &str| {
        event.data().get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let count = events
        .iter()
        .filter(|event| event.kind() == STATUS_CHANGED)
        .filter(|event| is_rework(&text(event, "from"), &text(event, "to")))
        .count();
    let limit = config.workflow().get("review_cycle_limit").and_then(Value::as_u64);
    let limit = limit.unwrap_or(CYCLE_LIMIT);
    if u64::try_from(count).unwrap_or(u64::MAX) < limit {
        return Ok(());
    }
    let id = task.display_id();
    let message = format!("{id} came back from review {count} times, and the limit is {limit}");
    Err(Failure::new(Code::ReviewCycleLimit, message).hint(format!(
        "lattice status {id} needs_human, with a comment that says why; or --force --reason TEXT"
    )))
}
