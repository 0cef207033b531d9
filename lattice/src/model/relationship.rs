//! What one task can be to another, and to a branch.

use serde_json::Value;

use super::failure::{Code, Failure, Result};
use super::reduce::Snapshot;

pub const TYPES: [&str; 7] = [
    "blocks",
    "depends_on",
    "duplicate_of",
    "related_to",
    "spawned_by",
    "subtask_of",
    "supersedes",
];

pub fn has_relationship(task: &Snapshot, kind: &str, target: &str) -> bool {
    entries(task, "relationships_out")
        .any(|entry| entry["type"] == kind && entry["target_task_id"] == target)
}

/// A link to a branch; `repo` names another repository than this one.
pub fn has_branch(task: &Snapshot, branch: &str, repo: Option<&str>) -> bool {
    let repo = Value::from(repo);
    entries(task, "branch_links").any(|entry| entry["branch"] == branch && entry["repo"] == repo)
}

fn entries<'a>(task: &'a Snapshot, key: &str) -> impl Iterator<Item = &'a Value> {
    task.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A name that cannot be an option of git, or nothing, or a trick on a terminal.
pub fn check_branch(name: &str) -> Result<()> {
    let why = if name.trim().is_empty() {
        "it is empty"
    } else if name.starts_with('-') {
        "it begins with a dash"
    } else if name.chars().any(|c| c < ' ') {
        "it has control characters in it"
    } else {
        return Ok(());
    };
    Err(Failure::new(Code::ValidationError, format!("{name:?} is no name of a branch: {why}"))
        .hint("`git branch --list` shows the names of branches"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_found_by_all_that_makes_them() {
        let Value::Object(fields) = json!({
            "relationships_out": [{"type": "blocks", "target_task_id": "t"}],
            "branch_links": [{"branch": "b", "repo": null}, {"branch": "c", "repo": "r"}],
        }) else {
            panic!("an object")
        };
        let task = Snapshot(fields);
        assert!(has_relationship(&task, "blocks", "t"));
        assert!(
            !has_relationship(&task, "blocks", "u") && !has_relationship(&task, "depends_on", "t")
        );
        assert!(has_branch(&task, "b", None) && has_branch(&task, "c", Some("r")));
        assert!(!has_branch(&task, "b", Some("r")) && !has_branch(&task, "c", None));
        assert!(!has_branch(&Snapshot::default(), "b", None));
    }

    #[test]
    fn names_of_branches() {
        for good in ["main", "feat/x", "a b", "\u{e9}"] {
            assert!(check_branch(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "-x", "a\tb", "a\nb"] {
            assert_eq!(check_branch(bad).unwrap_err().code(), Code::ValidationError, "{bad:?}");
        }
    }
}
