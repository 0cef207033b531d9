//! `gemini -o stream-json`, 0.61.
//!
//! `init` with `session_id` and `model`, `message` (in pieces), `tool_use`, `tool_result`, `error`, at the end
//! `{"type":"result","status","error","stats":{"input_tokens","output_tokens","cached"}}`. After a signal it exits 0
//! without a result.

use serde_json::Value;

use super::fields::name;
use crate::model::engine::account::{Account, Trouble};

pub(super) const KINDS: &[&str] =
    &["init", "message", "tool_use", "tool_result", "error", "result"];

pub(super) fn take(account: &mut Account, kind: &str, record: &Value) {
    match kind {
        "init" => {
            account.usage.session_id = name(&record["session_id"]);
            account.usage.model = name(&record["model"]);
        }
        "message" => {
            account.at_work();
            let piece = record["content"].as_str().filter(|_| record["role"] == "assistant");
            match piece {
                Some(piece) if record["delta"] == true => account.say_more(piece),
                piece => account.say(piece),
            }
        }
        "tool_use" => {
            account.at_work();
            account.say(None);
        }
        "tool_result" => tool_result(account, record),
        "error" if record["severity"] == "warning" => {}
        "error" => account.trouble = Some(trouble(record)),
        _ => result(account, record),
    }
}

fn tool_result(account: &mut Account, record: &Value) {
    account.at_work();
    let error = &record["error"];
    let told = [&error["type"], &error["message"]];
    let is_denial = |text: &str| {
        let text = text.to_lowercase();
        text.contains("policy") || text.contains("denied by") || text.contains("not allowed")
    };
    let is_denied = told.iter().filter_map(|text| text.as_str()).any(is_denial)
        || error["type"] == "tool_not_registered" && BY_MODE.contains(&tool(record));
    if record["status"] == "error" && is_denied {
        account.deny(tool(record));
    }
}

/// Tools that are always there, but for an approval mode that does not offer them without somebody to ask.
const BY_MODE: &[&str] = &["run_shell_command", "write_file", "replace"];

/// `NAME-TIME-RANDOM`, `NAME_TIME_NUMBER` or `NAME__NAME_TIME_NUMBER`; the name alone where it can be told.
fn tool(record: &Value) -> &str {
    let id = record["tool_id"].as_str().unwrap_or("a tool");
    let name = id
        .find(|c: char| c.is_ascii_digit())
        .map_or(id, |at| id[..at].trim_end_matches(['-', '_']));
    name.split_once("__").filter(|(name, again)| name == again).map_or(name, |(name, _)| name)
}

/// What the provider answered is repeated as it came: `[API Error: {"error":{"code":500,"message":"…"}}]`.
fn trouble(record: &Value) -> Trouble {
    let words = record["message"].as_str().unwrap_or("no words");
    let answer = answer(words).unwrap_or_default();
    let told = answer["error"]["message"].as_str().unwrap_or(words);
    Trouble::new(told).code(record["type"].as_str()).status(answer["error"]["code"].as_u64())
}

fn answer(words: &str) -> Option<Value> {
    let inside = words.get(words.find('{')?..=words.rfind('}')?)?;
    serde_json::from_str(inside).ok()
}

fn result(account: &mut Account, record: &Value) {
    let stats = &record["stats"];
    account.usage.input_tokens = stats["input_tokens"].as_u64();
    account.usage.cached_input_tokens = stats["cached"].as_u64();
    account.usage.output_tokens = stats["output_tokens"].as_u64();
    if record["status"] == "success" {
        account.succeeded();
    } else {
        account.failed(trouble(&record["error"]));
    }
}
