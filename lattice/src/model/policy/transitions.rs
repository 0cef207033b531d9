//! Where a task may go, and which way that is.

use serde_json::Value;

use crate::model::config::Config;
use crate::model::failure::{Code, Failure, Result};

/// Where a task may go from `status`: its own transitions, then the targets that are always allowed, each once.
pub fn valid_transitions(config: &Config, status: &str) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    for target in explicit(config, status).into_iter().chain(universal(config)) {
        if !targets.iter().any(|known| known == target) {
            targets.push(target.to_owned());
        }
    }
    targets
}

/// The transitions that the workflow names for a status, without the universal ones.
pub(super) fn explicit<'a>(config: &'a Config, status: &str) -> Vec<&'a str> {
    let transitions = config.workflow().get("transitions");
    strings(transitions.and_then(|transitions| transitions.get(status)))
}

pub(super) fn is_universal(config: &Config, status: &str) -> bool {
    universal(config).contains(&status)
}

fn universal(config: &Config) -> Vec<&str> {
    strings(config.workflow().get("universal_targets"))
}

fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A status that somebody typed, by its name or as it is displayed.
pub fn resolve_status(config: &Config, text: &str) -> Result<String> {
    config.find_status(text).map(str::to_owned).ok_or_else(|| {
        Failure::new(Code::ValidationError, format!("'{text}' is no status of this project"))
            .hint(format!("use one of: {}", config.statuses().join(", ")))
    })
}

/// Refuses a step that the workflow does not have.
pub fn check_transition(config: &Config, from: &str, to: &str) -> Result<()> {
    let valid = valid_transitions(config, from);
    if valid.iter().any(|target| target == to) {
        return Ok(());
    }
    let targets = if valid.is_empty() { "nothing".to_owned() } else { valid.join(", ") };
    Err(Failure::new(
        Code::InvalidTransition,
        format!("the workflow has no step from {from} to {to}"),
    )
    .hint(format!(
        "from {from} it allows: {targets}; or lattice status TASK {to} --force --reason TEXT"
    ))
    .detail("current_status", from)
    .detail("requested_status", to)
    .detail("valid_transitions", valid))
}

/// Whether `to` comes before `from` in the project's own order. A status that is not in it is neither.
pub fn is_backward(config: &Config, from: &str, to: &str) -> bool {
    let statuses = config.statuses();
    let rank = |status: &str| statuses.iter().rposition(|known| *known == status);
    matches!((rank(from), rank(to)), (Some(from), Some(to)) if to < from)
}
