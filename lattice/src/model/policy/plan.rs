//! The plan gate: work on a task begins with a plan.

use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;

/// The status that needs a plan.
pub const PLAN_GATE: &str = "in_progress";

/// What was found at the place of a task's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    Missing,
    /// Something is there that cannot be read. That is a defect of the disk, not of the planning: the gate is open.
    Unreadable,
    Text(String),
}

/// Refuses a task whose plan nobody has written yet.
pub fn check_plan(task: &Snapshot, plan: &Plan) -> Result<()> {
    let why = match plan {
        Plan::Missing => "has no plan",
        Plan::Text(text) if is_scaffold(text, task.text("description")) => {
            "has only the plan that it was created with"
        }
        Plan::Text(_) | Plan::Unreadable => return Ok(()),
    };
    let message = format!("{} {why}, and {PLAN_GATE} needs one", task.display_id());
    Err(Failure::new(Code::PlanRequired, message).hint(format!(
        "write .lattice/plans/{}.md, if only one line; or set the status with --force --reason TEXT",
        task.id()
    )))
}

/// Whether a plan is still what `create` writes: a heading, and below it nothing or just the description. Anything
/// with structure (a heading, a list, a block of code) is a plan.
pub fn is_scaffold(plan: &str, description: Option<&str>) -> bool {
    let mut lines = plan.trim().lines();
    match lines.next() {
        None => return true,
        Some(heading) if !heading.starts_with("# ") => return false,
        Some(_) => {}
    }
    let body: Vec<&str> = filled(lines);
    if body.is_empty() {
        return true;
    }
    let description = filled(description.unwrap_or_default().lines());
    !body.iter().any(|line| has_structure(line)) && body == description
}

fn filled<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    lines.map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// A digit with `. ` among the first five characters begins a numbered list.
fn has_structure(line: &str) -> bool {
    let numbered = || {
        let beginning: String = line.chars().take(5).collect();
        line.chars().count() > 2
            && line.starts_with(|c: char| c.is_numeric())
            && beginning.contains(". ")
    };
    ["## ", "### ", "- ", "* ", "```"].iter().any(|mark| line.starts_with(mark)) || numbered()
}
