//! `codex exec --json`, 0.169.
//!
//! `thread.started`, then per turn `turn.started`, `item.started`, `item.completed` and `turn.completed` with its
//! usage, or `turn.failed`. `error` tells of attempts that are repeated, too. In a sandbox that allows nothing it exits 0.

use serde_json::Value;

use super::fields::{add, name};
use crate::model::engine::account::{Account, Trouble};

pub(super) const KINDS: &[&str] = &[
    "thread.started",
    "turn.started",
    "item.started",
    "item.completed",
    "turn.completed",
    "turn.failed",
    "error",
];

pub(super) fn take(account: &mut Account, kind: &str, record: &Value) {
    match kind {
        "thread.started" => account.usage.session_id = name(&record["thread_id"]),
        "turn.started" => {
            account.at_work();
            add(&mut account.usage.turns, Some(1));
        }
        "item.started" => account.at_work(),
        "item.completed" => item(account, &record["item"]),
        "turn.completed" => {
            let usage = &record["usage"];
            add(&mut account.usage.input_tokens, usage["input_tokens"].as_u64());
            add(&mut account.usage.cached_input_tokens, usage["cached_input_tokens"].as_u64());
            add(&mut account.usage.output_tokens, usage["output_tokens"].as_u64());
            account.succeeded();
        }
        "turn.failed" => account.failed(trouble(&record["error"]["message"])),
        _ => account.trouble = Some(trouble(&record["message"])),
    }
}

fn item(account: &mut Account, item: &Value) {
    let kind = item["type"].as_str();
    if kind == Some("error") {
        // A warning: the turn goes on.
        account.trouble = Some(trouble(&item["message"]));
        return;
    }
    account.at_work();
    if kind == Some("agent_message") {
        account.say(item["text"].as_str());
    }
    if item["status"] == "declined" {
        account.deny(kind.unwrap_or("a tool"));
    }
}

/// What it refuses because there is nobody to ask stands in no record, but in its own log, on standard error:
/// `… ERROR codex_core::tools::router: error=approval policy is Never; reject command — …`.
pub(super) fn words(account: &mut Account, line: &str) {
    if line.contains("codex_core::tools::router") && line.contains("reject") {
        account.deny("a command that needs approval");
    }
}

/// The status of HTTP stands in the words: `unexpected status 401 Unauthorized: …`.
fn trouble(message: &Value) -> Trouble {
    let words = message.as_str().unwrap_or("no words");
    let status = words.split("status ").nth(1).and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Trouble::new(words).status(status)
}
