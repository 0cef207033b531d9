//! How far a review is from what it reviewed: the words and the kinds, not the counting.

use std::fmt;

use serde_json::Value;

use crate::model::ids::ArtifactId;
use crate::model::reduce::Snapshot;

/// The role of evidence that `require_fresh_review` is about.
pub const REVIEW: &str = "review";

/// Where a commit lies, seen from HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// HEAD has so many commits that the reviewed one has not; none, if it is HEAD.
    Behind(usize),
    /// The same, but they are so many that nobody went on counting.
    FarBehind(usize),
    /// HEAD does not contain it: rebased away, or of another branch.
    Elsewhere,
}

impl Drift {
    pub fn is_fresh(self) -> bool {
        self == Self::Behind(0)
    }
}

/// Behind `review @ abc1234, `.
impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(0) => f.write_str("current"),
            Self::Behind(1) => f.write_str("1 commit behind"),
            Self::Behind(count) => write!(f, "{count} commits behind"),
            Self::FarBehind(count) => write!(f, "more than {count} commits behind"),
            Self::Elsewhere => f.write_str("not in the history of HEAD"),
        }
    }
}

/// The last artifact that was attached in a role.
pub fn newest_artifact(task: &Snapshot, role: &str) -> Option<ArtifactId> {
    let references = task.get("evidence_refs").and_then(Value::as_array)?;
    let is_wanted =
        |reference: &&Value| reference["source_type"] == "artifact" && reference["role"] == role;
    let newest = references.iter().rev().find(is_wanted)?;
    ArtifactId::parse(newest["id"].as_str()?)
}
