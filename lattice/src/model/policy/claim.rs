//! The way of a task that somebody takes up: from where it is to `in_progress`, by steps that the workflow names.

use std::collections::{HashSet, VecDeque};

use serde_json::{Value, json};

use super::transitions::explicit;
use crate::model::actor;
use crate::model::config::Config;
use crate::model::event::{ASSIGNMENT_CHANGED, STATUS_CHANGED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;

const STARTED: &str = "in_progress";
/// Where a task is somebody's, or nobody's any more.
const TAKEN: [&str; 4] = [STARTED, "review", "done", "cancelled"];
/// A longer way would run through statuses that mean something.
const MOST_STEPS: usize = 3;

/// The events, as types with their data, that make a task `claimant`'s and start it. None where it is so already.
pub fn claim_steps(
    config: &Config,
    task: &Snapshot,
    claimant: &str,
) -> Result<Vec<(&'static str, Value)>> {
    let assigned = task.get("assigned_to").unwrap_or(&Value::Null);
    let is_ours = actor::display(assigned) == claimant;
    let refuse = |why: String| {
        let message = format!("{} {why}", task.display_id());
        Err(Failure::new(Code::AlreadyClaimed, message)
            .hint("lattice next --claim    (again, for another task)"))
    };
    if !assigned.is_null() && !is_ours {
        return refuse(format!("is claimed by {}", actor::display(assigned)));
    }
    if TAKEN.contains(&task.status()) && !is_ours {
        return refuse(format!("is already in {}", task.status()));
    }
    let mut steps = Vec::new();
    if !is_ours {
        steps.push((ASSIGNMENT_CHANGED, json!({"from": assigned, "to": claimant})));
    }
    let path = claim_path(config, task.status(), STARTED).ok_or_else(|| no_path(config, task))?;
    let mut from = task.status();
    for to in &path {
        steps.push((STATUS_CHANGED, json!({"from": from, "to": to})));
        from = to;
    }
    Ok(steps)
}

fn no_path(config: &Config, task: &Snapshot) -> Failure {
    let (from, valid) = (task.status(), super::valid_transitions(config, task.status()));
    Failure::new(
        Code::InvalidTransition,
        format!(
            "{} cannot be started: the workflow has no way from {from} to {STARTED}",
            task.display_id()
        ),
    )
    .hint(format!(
        "lattice status {} STATUS    (from {from}: {})",
        task.display_id(),
        valid.join(", ")
    ))
    .detail("current_status", from)
    .detail("requested_status", STARTED)
    .detail("valid_transitions", valid)
}

/// The shortest way by explicit transitions, without its start; the first one in the order of the configuration.
pub fn claim_path(config: &Config, from: &str, to: &str) -> Option<Vec<String>> {
    if from == to {
        return Some(Vec::new());
    }
    let mut queue: VecDeque<Vec<&str>> = VecDeque::from([vec![from]]);
    let mut seen = HashSet::from([from]);
    while let Some(path) = queue.pop_front() {
        let here = path.last().expect("a path has a start");
        for next in explicit(config, here) {
            let path = [&path[..], &[next]].concat();
            if next == to {
                return Some(path[1..].iter().map(|&status| status.to_owned()).collect());
            }
            if seen.insert(next) && path.len() <= MOST_STEPS {
                queue.push_back(path);
            }
        }
    }
    None
}
