//! What a run says of itself, or somebody says for it, before its end is written: `worker complete`, `worker fail`.

use serde::{Deserialize, Serialize};

use super::mask::Mask;
use super::outcome::{Conclusion, Reason, shorten};

/// In bytes. The preallocated record must hold the words beside everything else.
pub const LONGEST: usize = 2048;

/// What `worker fail` says where nothing was said, as in the Python tool.
pub const UNKNOWN_ERROR: &str = "Unknown error";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// `runs/<RunId>/reported`. An empty file is a closed box: the end is being written, and words come too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who said it, where that is somebody else than the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Words {
    /// `None` for an empty file, and for anything that an engine may have put there instead.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words: Self = serde_json::from_slice(bytes).ok()?;
        if let Some(text) = &mut words.text {
            text.truncate(text.floor_char_boundary(LONGEST));
        }
        Some(words)
    }

    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        self.text = self.text.map(|text| mask.apply(&text));
        self
    }

    /// The verdict in the light of the words. They make a run fail that ended by itself, whatever its exit was; they
    /// make none complete, and what a supervisor did or saw (a timeout, a stop) they do not change.
    pub fn weigh(&self, verdict: Conclusion) -> Conclusion {
        match self.outcome {
            Outcome::Completed if verdict.completed => {
                Conclusion { sentence: self.text.clone().unwrap_or(verdict.sentence), ..verdict }
            }
            Outcome::Failed if ended_by_itself(&verdict) => Conclusion {
                completed: false,
                reason: Reason::Reported,
                class: None,
                sentence: shorten(self.text.as_deref().unwrap_or(UNKNOWN_ERROR)),
            },
            _ => verdict,
        }
    }

    /// Whether a conclusion says all of it, so that it need not be said twice.
    pub fn are_told_by(&self, conclusion: &Conclusion) -> bool {
        let text = self.text.as_ref().is_none_or(|text| *text == conclusion.sentence);
        text && self.actor.is_none() && (self.outcome == Outcome::Completed) == conclusion.completed
    }
}

fn ended_by_itself(verdict: &Conclusion) -> bool {
    let by_itself =
        [Reason::Exited, Reason::Signaled, Reason::DeliverableMissing, Reason::NoResult];
    verdict.completed || by_itself.contains(&verdict.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(outcome: Outcome, text: &str) -> Words {
        Words { outcome, text: Some(text.to_owned()), actor: None }
    }

    fn verdict(completed: bool, reason: Reason) -> Conclusion {
        Conclusion { completed, reason, class: None, sentence: "as it ended".to_owned() }
    }

    #[track_caller]
    fn check(words: &Words, verdict: Conclusion, completed: bool, reason: Reason, sentence: &str) {
        let conclusion = words.weigh(verdict);
        let sentence = sentence.to_owned();
        assert_eq!(conclusion, Conclusion { completed, reason, class: None, sentence });
    }

    #[test]
    fn completing_gives_a_result_and_overrides_nothing() {
        let words = words(Outcome::Completed, "all fine");
        check(&words, verdict(true, Reason::Exited), true, Reason::Exited, "all fine");
        for reason in [Reason::Exited, Reason::TimedOut, Reason::DeliverableMissing] {
            check(&words, verdict(false, reason), false, reason, "as it ended");
        }
        let silent = Words { text: None, ..words };
        check(&silent, verdict(true, Reason::Exited), true, Reason::Exited, "as it ended");
    }

    #[test]
    fn failing_overrides_an_exit_but_no_supervisor() {
        let words = words(Outcome::Failed, "tests\nare red");
        for (completed, reason) in
            [(true, Reason::Exited), (false, Reason::Exited), (false, Reason::Signaled)]
        {
            let verdict = verdict(completed, reason);
            check(&words, verdict, false, Reason::Reported, "tests are red");
        }
        for reason in [Reason::TimedOut, Reason::Stopped, Reason::SupervisorKilled] {
            check(&words, verdict(false, reason), false, reason, "as it ended");
        }
    }

    #[test]
    fn words_that_a_conclusion_does_not_tell_are_seen() {
        let said = words(Outcome::Failed, "red");
        let told = said.weigh(verdict(true, Reason::Exited));
        assert!(said.are_told_by(&told));
        assert!(!said.are_told_by(&said.weigh(verdict(false, Reason::TimedOut))));
        let other = Words { actor: Some("human:ana".to_owned()), ..said };
        assert!(!other.are_told_by(&told));
    }

    #[test]
    fn garbage_is_no_word_and_too_much_is_cut() {
        for garbage in [&b""[..], b"\0\0", b"{", b"[]", b"{\"outcome\": \"splendid\"}"] {
            assert_eq!(Words::parse(garbage), None);
        }
        let long = format!("{{\"outcome\": \"failed\", \"text\": \"{}\"}}", "\u{e9}".repeat(2000));
        assert_eq!(Words::parse(long.as_bytes()).unwrap().text.unwrap().len(), LONGEST);
    }
}
