//! One thing that was looked at, and how it is.

use crate::model::failure::{Failure, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Fine,
    /// A run would start, and may not go as its owner thinks.
    Doubtful,
    /// It cannot be said without running the engine.
    Unknown,
    /// No run would start, or none would come far.
    Stops,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Doubtful => "doubtful",
            Self::Unknown => "unknown",
            Self::Stops => "stops",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Such as `program` or `login`.
    pub what: &'static str,
    pub state: State,
    pub says: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Line {
    pub(super) fn fine(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, state: State::Fine, says: says.into(), hint: None }
    }

    pub(super) fn doubtful(
        what: &'static str,
        says: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { what, state: State::Doubtful, says: says.into(), hint: Some(hint.into()) }
    }

    pub(super) fn unknown(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, state: State::Unknown, says: says.into(), hint: None }
    }

    pub(super) fn stops(
        what: &'static str,
        says: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { what, state: State::Stops, says: says.into(), hint: Some(hint.into()) }
    }

    /// What a start would be refused with.
    pub(super) fn of_failure(what: &'static str, failure: &Failure) -> Self {
        let hint = failure.hint_text().map(str::to_owned);
        Self { what, state: State::Stops, says: failure.message().to_owned(), hint }
    }

    /// Fine with these words, or the refusal.
    pub(super) fn of<T>(what: &'static str, result: &Result<T>, says: impl Into<String>) -> Self {
        match result {
            Ok(_) => Self::fine(what, says),
            Err(failure) => Self::of_failure(what, failure),
        }
    }
}
