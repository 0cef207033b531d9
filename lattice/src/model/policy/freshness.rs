//! Which artifact is the review that a policy asks about.

use serde_json::Value;

use crate::model::ids::ArtifactId;
use crate::model::reduce::Snapshot;

/// The role of evidence that `require_fresh_review` is about.
pub const REVIEW: &str = "review";

/// The last artifact that was attached in a role.
pub fn newest_artifact(task: &Snapshot, role: &str) -> Option<ArtifactId> {
    let references = task.get("evidence_refs").and_then(Value::as_array)?;
    let is_wanted =
        |reference: &&Value| reference["source_type"] == "artifact" && reference["role"] == role;
    let newest = references.iter().rev().find(is_wanted)?;
    ArtifactId::parse(newest["id"].as_str()?)
}
