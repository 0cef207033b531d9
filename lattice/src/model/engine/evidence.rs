//! Reads an engine's output as it comes and keeps what counts: never the output itself.

use serde::Deserialize;

use super::account::Account;
use super::lines::Lines;
use super::preset::Records;
use super::records;
use crate::model::json;

#[derive(Debug)]
pub struct Evidence {
    format: Records,
    lines: Lines,
    account: Account,
}

/// What every record has, and the only thing that is read of most of them.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Evidence {
    /// `wants_message`: keep the last message too.
    pub fn new(format: Records, wants_message: bool) -> Self {
        let account = Account { wants_message, ..Account::default() };
        Self { format, lines: Lines::default(), account }
    }

    /// The next piece of output, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { format, lines, account } = self;
        lines.push(bytes, |line| take(*format, account, line));
    }

    /// Some output is missing here, and with it the rest of the line at hand.
    pub fn skip(&mut self) {
        self.lines.skip();
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    /// With the last line, which may have no end.
    pub fn finish(mut self) -> Account {
        let Self { format, lines, account } = &mut self;
        lines.finish(|line| take(*format, account, line));
        self.account
    }
}

fn take(format: Records, account: &mut Account, line: &[u8]) {
    if records(format, account, line) {
        return;
    }
    // Standard error shares the pipe, so a record may stand behind words without an end of line.
    let inside = line.windows(2).skip(1).position(|pair| pair == b"{\"").map(|at| at + 1);
    if let Some(at) = inside
        && records(format, account, &line[at..])
    {
        records::words(format, account, &String::from_utf8_lossy(&line[..at]));
    } else if !line.starts_with(b"{") {
        let line = &line[..line.len().min(LONGEST_NOTE)];
        records::words(format, account, &String::from_utf8_lossy(line));
    }
}

/// Of a long line of words.
const LONGEST_NOTE: usize = 4096;

/// Whether the line is a record. Most records are only glanced at: they may be big, and say nothing that counts.
fn records(format: Records, account: &mut Account, line: &[u8]) -> bool {
    if !line.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let (kind, value) = match serde_json::from_slice::<Head<'_>>(line) {
        Ok(head) => (head.kind.into_owned(), None),
        // Invalid UTF-8 and lone surrogates, which a strict reader refuses.
        Err(_) => match json::parse_lossy(line) {
            Some(value) => match value["type"].as_str() {
                Some(kind) => (kind.to_owned(), Some(value)),
                None => return false,
            },
            None => return false,
        },
    };
    account.records += 1;
    if records::counts(format, &kind)
        && let Some(value) = value.or_else(|| json::parse_lossy(line))
    {
        records::take(format, account, &kind, &value);
    }
    true
}
