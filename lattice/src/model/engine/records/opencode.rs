//! `opencode run --format json`, 1.18.
//!
//! Every record has `sessionID` and, but for errors, a `part`: `step_start`, `text`, `tool_use`, and at the end of each
//! step `{"type":"step_finish","part":{"reason","cost","tokens":{"input","output","reasoning","cache":{"read","write"}}}}`.
//! The last step's reason is `stop`; `{"type":"error","error":{"name","data":{"message","statusCode"}}}`.

use serde_json::Value;

use super::fields::{add, name, sum};
use crate::model::engine::account::{Account, Trouble};

pub(super) const KINDS: &[&str] = &["step_start", "text", "tool_use", "step_finish", "error"];

pub(super) fn take(account: &mut Account, kind: &str, record: &Value) {
    if let Some(session) = name(&record["sessionID"]) {
        account.usage.session_id = Some(session);
    }
    let part = &record["part"];
    match kind {
        "step_start" => {
            account.at_work();
            account.say(None);
        }
        "text" => account.say_more(part["text"].as_str().unwrap_or_default()),
        "tool_use" => tool(account, part),
        "step_finish" => step(account, part),
        _ => account.failed(trouble(&record["error"])),
    }
}

fn tool(account: &mut Account, part: &Value) {
    account.at_work();
    let state = &part["state"];
    let error = state["error"].as_str().unwrap_or_default().to_lowercase();
    let name = part["tool"].as_str().unwrap_or("a tool");
    let is_denial = |word| error.contains(word);
    if state["status"] == "error"
        && ["permission", "rejected", "prevents you"].iter().any(is_denial)
    {
        account.deny(name);
    }
    // A call of what is not there becomes a call of this one.
    let missing = state["input"]["tool"].as_str().filter(|_| name == "invalid").unwrap_or_default();
    if BY_RULE.contains(&missing) {
        account.deny(missing);
    }
}

/// Tools that are always there, but for a rule that denies them altogether.
const BY_RULE: &[&str] = &["bash", "edit", "write"];

fn step(account: &mut Account, part: &Value) {
    let (usage, tokens) = (&mut account.usage, &part["tokens"]);
    add(&mut usage.turns, Some(1));
    let cache = &tokens["cache"];
    add(&mut usage.input_tokens, sum(&[&tokens["input"], &cache["read"], &cache["write"]]));
    add(&mut usage.cached_input_tokens, cache["read"].as_u64());
    add(&mut usage.output_tokens, sum(&[&tokens["output"], &tokens["reasoning"]]));
    if let Some(cost) = part["cost"].as_f64() {
        usage.cost_usd = Some(usage.cost_usd.unwrap_or_default() + cost);
    }
    match part["reason"].as_str() {
        Some("stop") => account.succeeded(),
        Some("tool-calls") => account.at_work(),
        reason => {
            let reason = reason.unwrap_or("unknown");
            account.failed(
                Trouble::new(&format!("its last step ended with \"{reason}\"")).code(Some(reason)),
            );
        }
    }
}

fn trouble(error: &Value) -> Trouble {
    let data = &error["data"];
    let words = data["message"].as_str().or(error["name"].as_str()).unwrap_or("no words");
    Trouble::new(words).code(error["name"].as_str()).status(data["statusCode"].as_u64())
}
