//! `claude -p --output-format stream-json --verbose`, 2.1.
//!
//! `{"type":"system","subtype":"init","session_id","model"}`, then `assistant` and `user`, at the end
//! `{"type":"result","subtype","is_error","result","num_turns","total_cost_usd","usage","permission_denials",…}`.
//! A second turn, begun by a task in the background, ends in a second result, with its own turns and the cost of all;
//! `{"type":"system","subtype":"background_tasks_changed","tasks":[…]}` tells what is waited for. `subtype` is `success`
//! also for errors of the API, and the exit code is 0 also when every tool was denied.

use serde_json::Value;

use super::fields::{add, name};
use crate::model::engine::account::{Account, Trouble};

pub(super) const KINDS: &[&str] = &["system", "assistant", "user", "result"];

pub(super) fn take(account: &mut Account, kind: &str, record: &Value) {
    if let Some(session) = name(&record["session_id"]) {
        account.usage.session_id = Some(session);
    }
    match kind {
        "system" => system(account, record),
        "assistant" => assistant(account, record),
        "result" => result(account, record),
        _ => account.at_work(),
    }
}

fn system(account: &mut Account, record: &Value) {
    match record["subtype"].as_str() {
        Some("init") => account.usage.model = name(&record["model"]),
        Some("background_tasks_changed") => {
            account.waits = record["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty());
        }
        Some("api_retry") => {
            let words = record["error"].as_str().unwrap_or("a request failed");
            account.trouble =
                Some(Trouble::new(words).code(Some(words)).status(record["error_status"].as_u64()));
        }
        _ => {}
    }
}

fn assistant(account: &mut Account, record: &Value) {
    account.at_work();
    if let Some(code) = record["error"].as_str() {
        let text = record["message"]["content"][0]["text"].as_str().unwrap_or(code);
        account.trouble = Some(Trouble::new(text).code(Some(code)));
    }
}

fn result(account: &mut Account, record: &Value) {
    add(&mut account.usage.turns, record["num_turns"].as_u64());
    account.usage.cost_usd = record["total_cost_usd"].as_f64();
    tokens(account, record);
    account.denied.clear();
    for denial in record["permission_denials"].as_array().into_iter().flatten() {
        account.deny(denial["tool_name"].as_str().unwrap_or("a tool"));
    }
    let reason = record["terminal_reason"].as_str();
    let subtype = record["subtype"].as_str();
    let fine = record["is_error"] == false
        && subtype == Some("success")
        && matches!(reason, None | Some("completed"));
    if fine {
        account.say(record["result"].as_str());
        account.succeeded();
        return;
    }
    let errors = record["errors"][0].as_str();
    let code = subtype.filter(|subtype| *subtype != "success").or(reason);
    let words = record["result"].as_str().or(errors).or(code).unwrap_or("no words");
    account.failed(Trouble::new(words).code(code).status(record["api_error_status"].as_u64()));
}

/// Of all models and turns, as the cost is. `usage` has zeros where a limit has ended it, and is all that there is where
/// no model has answered.
fn tokens(account: &mut Account, record: &Value) {
    let models = record["modelUsage"].as_object().filter(|models| !models.is_empty());
    let total = |of_model: &str, of_usage: &str| match models {
        Some(models) => {
            models.values().filter_map(|model| model[of_model].as_u64()).reduce(u64::saturating_add)
        }
        None => record["usage"][of_usage].as_u64(),
    };
    let cached = total("cacheReadInputTokens", "cache_read_input_tokens");
    let written = total("cacheCreationInputTokens", "cache_creation_input_tokens");
    let input = [total("inputTokens", "input_tokens"), written, cached];
    account.usage.input_tokens = input.into_iter().flatten().reduce(u64::saturating_add);
    account.usage.cached_input_tokens = cached;
    account.usage.output_tokens = total("outputTokens", "output_tokens");
}
