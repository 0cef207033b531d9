//! Fields that may be anything.

use serde_json::Value;

use crate::model::engine::account;

/// A bounded name, such as an ID.
pub(super) fn name(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(account::name)
}

/// The sum of those that are there.
pub(super) fn sum(values: &[&Value]) -> Option<u64> {
    values.iter().filter_map(|value| value.as_u64()).reduce(u64::saturating_add)
}

/// Adds what is there.
pub(super) fn add(total: &mut Option<u64>, value: Option<u64>) {
    if let Some(value) = value {
        *total = Some(total.unwrap_or_default().saturating_add(value));
    }
}
