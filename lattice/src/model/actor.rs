//! Who did something: `prefix:rest` when it is written; a string or a session's object when it is read.

use serde_json::Value;

use super::failure::{Code, Failure, Result};

/// What may stand before the first colon of an actor that a person or a program names.
pub const PREFIXES: [&str; 4] = ["agent", "human", "team", "dashboard"];

/// Checks an actor that is to be written. Actors that are read are never checked: other tools write other prefixes.
pub fn validate(text: &str) -> Result<()> {
    match text.split_once(':') {
        Some((prefix, rest)) if PREFIXES.contains(&prefix) && !rest.is_empty() => Ok(()),
        _ => Err(Failure::new(Code::InvalidActor, format!("'{text}' is not an actor")).hint(
            format!(
                "use PREFIX:NAME with one of the prefixes {}, such as human:ana",
                PREFIXES.join(", ")
            ),
        )),
    }
}

/// The form for people and for comparing: the string itself, or the name in an object. Empty if there is none.
pub fn display(actor: &Value) -> &str {
    match actor {
        Value::Object(map) => map.get("name").and_then(Value::as_str).unwrap_or_default(),
        other => other.as_str().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actors_have_a_known_prefix_and_a_rest() {
        for good in ["agent:a", "human:b c", "team:x:y", "dashboard:local"] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["", "agent", "agent:", ":a", "system:init", "Human:a", " agent:a"] {
            assert_eq!(validate(bad).unwrap_err().code(), Code::InvalidActor, "{bad}");
        }
    }

    #[test]
    fn display_forms() {
        assert_eq!(display(&json!("system:init")), "system:init");
        assert_eq!(display(&json!({"name": "Ana-1", "base_name": "Ana"})), "Ana-1");
        assert_eq!((display(&json!(null)), display(&json!({}))), ("", ""));
    }
}
