//! Completion policies: what a status asks of a task before it may be reached.

use serde_json::{Map, Value};

use super::freshness::REVIEW;
use super::transitions::is_universal;
use crate::model::config::Config;
use crate::model::drift::Drift;
use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;

/// What the caller found out about the newest review, for a policy that wants it to be fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Review {
    /// No artifact has that role.
    None,
    /// There is one, and why nobody can tell what it is worth.
    Unknown(String),
    /// It speaks of a commit, in hexadecimal digits.
    Of(String, Drift),
}

/// The policy of a status. Universal targets have none: they are the way out of everything.
fn policy<'a>(config: &'a Config, status: &str) -> Option<&'a Map<String, Value>> {
    let policies = config.workflow().get("completion_policies")?;
    policies.get(status)?.as_object().filter(|_| !is_universal(config, status))
}

/// Whether a status can only be reached with a review of HEAD.
pub fn wants_fresh_review(config: &Config, status: &str) -> bool {
    policy(config, status).is_some_and(|policy| is_on(policy, "require_fresh_review"))
}

/// Refuses while the policy of `status` is not met.
pub fn check_completion(
    config: &Config,
    task: &Snapshot,
    status: &str,
    review: &Review,
) -> Result<()> {
    let Some(policy) = policy(config, status) else { return Ok(()) };
    let id = task.display_id();
    let (mut unmet, mut remedies) = (Vec::new(), Vec::new());
    for role in missing_roles(policy, task) {
        unmet.push(format!("nothing has the role {role}"));
        remedies.push(format!("lattice comment {id} TEXT --role {role}"));
    }
    if is_on(policy, "require_assigned") && !is_assigned(task) {
        unmet.push("nobody is assigned".to_owned());
        remedies.push(format!("lattice assign {id} ACTOR"));
    }
    if is_on(policy, "require_fresh_review")
        && let Some(why) = staleness(review)
    {
        unmet.push(why);
        remedies.push(format!("lattice attach {id} REPORT --role {REVIEW}"));
    }
    if unmet.is_empty() {
        return Ok(());
    }
    let message = format!("{id} cannot go to {status}: {}", unmet.join("; "));
    Err(Failure::new(Code::CompletionBlocked, message).hint(format!(
        "{}; or lattice status {id} {status} --force --reason TEXT",
        remedies.join("; ")
    )))
}

fn is_on(policy: &Map<String, Value>, key: &str) -> bool {
    // As Python takes it: anything but nothing, false, zero and the empty ones.
    match policy.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Bool(true)) => true,
    }
}

fn is_assigned(task: &Snapshot) -> bool {
    !matches!(task.get("assigned_to"), None | Some(Value::Null))
        && task.text("assigned_to") != Some("")
}

fn missing_roles<'a>(policy: &'a Map<String, Value>, task: &Snapshot) -> Vec<&'a str> {
    let present: Vec<&Value> = task
        .get("evidence_refs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|reference| &reference["role"])
        .collect();
    let required = policy.get("require_roles").and_then(Value::as_array).into_iter().flatten();
    required
        .filter_map(Value::as_str)
        .filter(|role| !present.iter().any(|known| *known == role))
        .collect()
}

/// Why the newest review is not of HEAD, if it is not.
fn staleness(review: &Review) -> Option<String> {
    match review {
        Review::None => Some(format!("no artifact has the role {REVIEW}")),
        Review::Unknown(why) => Some(why.clone()),
        Review::Of(_, drift) if drift.is_fresh() => None,
        Review::Of(commit, drift) => {
            let short: String = commit.chars().take(7).collect();
            Some(format!("the newest review is of {short}, {drift}"))
        }
    }
}
