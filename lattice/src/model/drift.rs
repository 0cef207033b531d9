//! How far a commit is from HEAD: the kinds and the words, not the counting.

use std::fmt;

/// Where a commit lies, seen from HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// HEAD has so many commits that the reviewed one has not; none, if it is HEAD.
    Behind(usize),
    /// The same, but they are so many that nobody went on counting.
    FarBehind(usize),
    /// Both have commits that the other has not: so many are in HEAD, and so many in it.
    Apart { behind: usize, ahead: usize },
    /// HEAD does not contain it, and nobody counted: rebased away, or of another branch.
    Elsewhere,
}

impl Drift {
    pub fn is_fresh(self) -> bool {
        self == Self::Behind(0)
    }

    /// Commits of HEAD that it has not, and its own that HEAD has not, where somebody counted.
    pub fn counts(self) -> Option<(usize, usize)> {
        match self {
            Self::Behind(behind) => Some((behind, 0)),
            Self::Apart { behind, ahead } => Some((behind, ahead)),
            Self::FarBehind(_) | Self::Elsewhere => None,
        }
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
            Self::Apart { .. } | Self::Elsewhere => f.write_str("not in the history of HEAD"),
        }
    }
}
