//! What has been understood of an engine's output up to now. Every text in it is bounded.

use std::collections::VecDeque;

use crate::model::usage::Usage;

const WORDS: usize = 12;
const LONGEST_WORDS: usize = 500;
const DENIALS: usize = 20;
const LONGEST_NAME: usize = 200;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    pub usage: Usage,
    /// The result record, unless work went on behind it.
    pub outcome: Option<Outcome>,
    /// It waits for something that it has started itself, and may go on behind its result.
    pub waits: bool,
    /// An error that the engine told of and has not got over.
    pub trouble: Option<Trouble>,
    /// Tools that it was not allowed to use, one name for each time.
    pub denied: Vec<String>,
    /// Its last message, where that was asked for.
    pub message: Option<String>,
    pub(super) wants_message: bool,
    /// The last lines that were no records, since it was last at work.
    pub words: VecDeque<String>,
    /// The first line of all, where that was no record.
    pub opening: Option<String>,
    /// It printed how it is to be called.
    pub explained_itself: bool,
    /// How many records there were.
    pub records: u64,
}

/// What the engine's own result record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure(Trouble),
}

/// An error in the engine's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Of HTTP.
    pub status: Option<u64>,
    /// The engine's name for it.
    pub code: Option<String>,
    pub words: String,
}

impl Trouble {
    pub fn new(words: &str) -> Self {
        Self { words: cut(words, LONGEST_WORDS), ..Self::default() }
    }

    #[must_use]
    pub fn code(mut self, code: Option<&str>) -> Self {
        self.code = code.map(|code| cut(code, LONGEST_NAME));
        self
    }

    #[must_use]
    pub fn status(mut self, status: Option<u64>) -> Self {
        self.status = status;
        self
    }
}

impl Account {
    /// Whether it has told how it ended. It may still be at work in the background.
    pub fn is_settled(&self) -> bool {
        self.outcome.is_some()
    }

    /// Passes every text that an event could repeat through `each`; the message, which is a report, is left alone.
    pub fn rewrite(&mut self, each: &dyn Fn(&str) -> String) {
        let failure = match &mut self.outcome {
            Some(Outcome::Failure(trouble)) => Some(trouble),
            _ => None,
        };
        for trouble in failure.into_iter().chain(&mut self.trouble) {
            trouble.words = each(&trouble.words);
        }
        for text in self.denied.iter_mut().chain(&mut self.words).chain(&mut self.opening) {
            *text = each(text);
        }
        self.denied.retain(|name| !name.is_empty());
        self.words.retain(|line| !line.is_empty());
    }

    /// A new turn has begun, or one goes on: a result before it was not the last one, nor were its words.
    pub(super) fn at_work(&mut self) {
        self.outcome = None;
        self.trouble = None;
        self.words.clear();
    }

    pub(super) fn succeeded(&mut self) {
        self.outcome = Some(Outcome::Success);
        self.trouble = None;
    }

    pub(super) fn failed(&mut self, trouble: Trouble) {
        self.outcome = Some(Outcome::Failure(trouble));
    }

    pub(super) fn deny(&mut self, tool: &str) {
        if self.denied.len() < DENIALS {
            self.denied.push(cut(tool, LONGEST_NAME));
        }
    }

    pub(super) fn say(&mut self, message: Option<&str>) {
        if self.wants_message {
            self.message = message.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        }
    }

    /// Messages that come in pieces. One that is too long keeps its beginning.
    pub(super) fn say_more(&mut self, piece: &str) {
        if self.wants_message {
            let message = self.message.get_or_insert_default();
            if message.len() + piece.len() <= super::lines::LONGEST {
                message.push_str(piece);
            }
        }
    }

    pub(super) fn note(&mut self, line: &str) {
        let line = line.trim();
        // Traces of calls, as Node prints them, are longer than what they belong to, and say less.
        if line.is_empty() || line.starts_with("at ") {
            return;
        }
        self.explained_itself |= line == "Options:" || line.starts_with("Usage:");
        let line = cut(line, LONGEST_WORDS);
        if self.records == 0 {
            self.opening.get_or_insert_with(|| line.clone());
        }
        if self.words.len() == WORDS {
            self.words.pop_front();
        }
        self.words.push_back(line);
    }
}

/// A name of the engine's, bounded.
pub(super) fn name(text: &str) -> String {
    cut(text, LONGEST_NAME)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
