//! Which reader a record goes to.

use serde_json::Value;

use super::{claude, codex, gemini, opencode};
use crate::model::engine::account::Account;
use crate::model::engine::preset::Records;

/// Whether records of this kind are looked into.
pub(in crate::model::engine) fn counts(format: Records, kind: &str) -> bool {
    let kinds = match format {
        Records::None => return false,
        Records::Claude => claude::KINDS,
        Records::Codex => codex::KINDS,
        Records::Gemini => gemini::KINDS,
        Records::Opencode => opencode::KINDS,
    };
    kinds.contains(&kind)
}

pub(in crate::model::engine) fn take(
    format: Records,
    account: &mut Account,
    kind: &str,
    record: &Value,
) {
    match format {
        Records::None => {}
        Records::Claude => claude::take(account, kind, record),
        Records::Codex => codex::take(account, kind, record),
        Records::Gemini => gemini::take(account, kind, record),
        Records::Opencode => opencode::take(account, kind, record),
    }
}

/// A line that is no record.
pub(in crate::model::engine) fn words(format: Records, account: &mut Account, line: &str) {
    if format == Records::Codex {
        codex::words(account, line);
    }
    account.note(line);
}
