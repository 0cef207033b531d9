//! The JSON Schema (draft 7, which editors know best) of a definition, made from the table of keys.
//!
//! It says what the parser says, with two exceptions that it has no words for: that `link` names nothing that is in
//! `copy`, and that 1.0 is no whole number.

use serde_json::{Map, Value, json};

use super::keys::{ENGINES, KEYS, Key, LONGEST_NAME, MOST_GRACE_SECONDS, MOST_MINUTES, Shape};
use super::types::EngineKind;
use crate::model::actor::PREFIXES;
use crate::model::json;

const TEXT: &str = r"^[^\x00]*$";
/// Parts between slashes, none of them `..`, at least one of them a name.
const PATH: &str = r"^(\./+)*(\.?[^./\x00][^/\x00]*|\.\.[^/\x00]+)(/+(\.|\.?[^./\x00][^/\x00]*|\.\.[^/\x00]+))*/*$";
const IN_GIT: &str = r"^(\./+)*\.git(/|$)";
/// A word of PATH, an absolute path, or a path below the project root.
const PROGRAM_WORD: &str = r"^[^/\x00]+$";
const ABSOLUTE: &str = r"^/[^\x00]*$";
const NAME: &str = r"^[^\s/\x00-\x1f\x7f-\x9f]([^/\x00-\x1f\x7f-\x9f]*[^\s/\x00-\x1f\x7f-\x9f])?$";
const PATTERN: &str = r"^([^=*\x00]+\*?|\*)[^=*\x00]*$";
const VARIABLE: &str = r"^[^=\x00]+$";

/// The schema as the file that is committed.
pub fn text() -> String {
    json::pretty(&schema())
}

pub fn schema() -> Value {
    let mut schema = object(KEYS);
    let agents: Vec<&str> =
        ENGINES.iter().copied().filter(|name| *name != EngineKind::Script.name()).collect();
    let own = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Lattice worker",
        "description": "A worker of Lattice: workers/NAME.json. Written by `lattice worker schema`.",
        "required": ["name"],
        "allOf": [
            {
                "if": {"required": ["engine"], "properties": {"engine": {"enum": agents}}},
                "then": {"required": ["prompt_file"], "properties": {"prompt_file": {"type": "string", "minLength": 1}}},
                "else": {
                    "required": ["command"],
                    "properties": {
                        "command": {"anyOf": [{"type": "string", "pattern": r"\S"}, {"type": "array", "minItems": 1}]},
                        "report_from": {"enum": ["file", null]}
                    }
                }
            },
            needs_worktree("copy"),
            needs_worktree("link"),
            {
                "if": {"required": ["sandbox"], "properties": {"sandbox": {"const": "worktree"}}},
                "then": {"required": ["worktree"], "properties": {"worktree": {"const": true}}},
            },
        ],
    });
    if let (Value::Object(schema), Value::Object(own)) = (&mut schema, own) {
        schema.extend(own);
    }
    schema
}

fn needs_worktree(key: &str) -> Value {
    json!({
        "if": {"required": [key], "properties": {key: {"type": "array", "minItems": 1}}},
        "then": {"required": ["worktree"], "properties": {"worktree": {"const": true}}},
    })
}

/// Comments and `$schema` are allowed in every object, and no other key that is not in the table.
fn object(keys: &[Key]) -> Value {
    let mut properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    properties.insert("$schema".to_owned(), json!({}));
    json!({
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x_": {}},
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut value = shape(key.shape);
    let map = value.as_object_mut().expect("every shape is an object");
    map.insert("description".to_owned(), key.about.into());
    if let Some(default) = key.default {
        let default = serde_json::from_str(default).expect("the defaults of the table are JSON");
        map.insert("default".to_owned(), default);
    }
    value
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Name => json!({"type": "string", "maxLength": LONGEST_NAME, "pattern": NAME}),
        Shape::Actor => {
            let pattern = format!(r"^$|^({}):[^\x00]+$", PREFIXES.join("|"));
            json!({"type": ["string", "null"], "pattern": pattern})
        }
        Shape::Engine => one_of(&ENGINES),
        Shape::OneOf(words) => one_of(words),
        Shape::Command => json!({"anyOf": [
            {"type": ["string", "null"], "pattern": TEXT},
            {
                "type": "array",
                "items": [{"type": "string", "anyOf": [
                    {"pattern": PROGRAM_WORD}, {"pattern": ABSOLUTE}, {"pattern": PATH},
                ]}],
                "additionalItems": {"type": "string", "pattern": TEXT},
            },
        ]}),
        Shape::Text => json!({"type": ["string", "null"], "pattern": TEXT}),
        Shape::Flag => json!({"type": ["boolean", "null"]}),
        Shape::Minutes => {
            json!({"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": MOST_MINUTES})
        }
        Shape::Seconds => {
            json!({"type": ["number", "null"], "minimum": 0, "maximum": MOST_GRACE_SECONDS})
        }
        Shape::Whole(least, most) => {
            json!({"type": ["integer", "null"], "minimum": least, "maximum": most})
        }
        Shape::Texts => list(&json!({"type": "string", "pattern": TEXT})),
        Shape::Path => json!({"type": ["string", "null"], "pattern": format!("^$|{PATH}")}),
        Shape::Carried => {
            list(&json!({"type": "string", "pattern": PATH, "not": {"pattern": IN_GIT}}))
        }
        Shape::Patterns => list(&json!({"type": "string", "pattern": PATTERN})),
        Shape::Variables => json!({
            "type": ["object", "null"],
            "propertyNames": {"pattern": VARIABLE, "not": {"pattern": "^LATTICE_"}},
            "additionalProperties": {"type": "string", "pattern": TEXT},
        }),
        Shape::Object(keys) => {
            let mut value = object(keys);
            value["type"] = json!(["object", "null"]);
            value
        }
        Shape::Places => {
            list(&json!({"type": "string", "anyOf": [{"pattern": ABSOLUTE}, {"pattern": PATH}]}))
        }
    }
}

fn one_of(words: &[&str]) -> Value {
    let mut words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
    words.push(Value::Null);
    json!({"enum": words})
}

fn list(item: &Value) -> Value {
    json!({"type": ["array", "null"], "items": item})
}
