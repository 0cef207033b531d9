//! That the schema is the one that is committed, and that it accepts what the parser accepts.

use serde_json::{Map, Value, json};

use super::keys::{ENV_KEYS, KEYS, LIMIT_KEYS};
use super::parse;
use super::schema::{schema, text};

/// Draft 7 of JSON Schema, as far as ours uses it. A keyword that is not here is a mistake of the schema.
fn accepts(schema: &Value, value: &Value) -> bool {
    let map = schema.as_object().expect("a schema is an object");
    map.iter().all(|(keyword, rule)| accepts_keyword(map, keyword, rule, value))
}

fn accepts_keyword(
    schema: &Map<String, Value>,
    keyword: &str,
    rule: &Value,
    value: &Value,
) -> bool {
    let rules = || rule.as_array().expect("a list of schemas").iter();
    let number = |value: &Value| value.as_f64().expect("a bound is a number");
    match keyword {
        "$schema" | "title" | "description" | "default" | "then" | "else" => true,
        "type" => match rule {
            Value::Array(kinds) => kinds.iter().any(|kind| is_kind(kind, value)),
            kind => is_kind(kind, value),
        },
        "enum" => rules().any(|allowed| allowed == value),
        "const" => rule == value,
        "anyOf" => rules().any(|schema| accepts(schema, value)),
        "allOf" => rules().all(|schema| accepts(schema, value)),
        "not" => !accepts(rule, value),
        "if" => {
            let branch = if accepts(rule, value) { "then" } else { "else" };
            schema.get(branch).is_none_or(|schema| accepts(schema, value))
        }
        "pattern" => value.as_str().is_none_or(|text| matches(rule, text)),
        "minLength" => {
            value.as_str().is_none_or(|text| text.chars().count() as f64 >= number(rule))
        }
        "maxLength" => {
            value.as_str().is_none_or(|text| text.chars().count() as f64 <= number(rule))
        }
        "minimum" => value.as_f64().is_none_or(|value| value >= number(rule)),
        "exclusiveMinimum" => value.as_f64().is_none_or(|value| value > number(rule)),
        "maximum" => value.as_f64().is_none_or(|value| value <= number(rule)),
        "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number(rule)),
        "items" => value.as_array().is_none_or(|items| accepts_items(rule, items)),
        "additionalItems" => value.as_array().is_none_or(|items| {
            let first = schema["items"].as_array().expect("it goes with a list").len();
            items.iter().skip(first).all(|item| accepts(rule, item))
        }),
        "required" => value
            .as_object()
            .is_none_or(|map| rules().all(|name| map.contains_key(name.as_str().expect("a name")))),
        "propertyNames" => value
            .as_object()
            .is_none_or(|map| map.keys().all(|name| accepts(rule, &Value::from(name.as_str())))),
        "properties" => value.as_object().is_none_or(|map| {
            map.iter()
                .all(|(name, value)| rule.get(name).is_none_or(|schema| accepts(schema, value)))
        }),
        "patternProperties" => value.as_object().is_none_or(|map| {
            let rules = rule.as_object().expect("schemas by pattern");
            map.iter().all(|(name, value)| {
                rules.iter().all(|(pattern, schema)| {
                    !matches(&pattern.as_str().into(), name) || accepts(schema, value)
                })
            })
        }),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            map.iter().filter(|(name, _)| !is_named(schema, name)).all(|(_, value)| match rule {
                Value::Bool(allowed) => *allowed,
                rule => accepts(rule, value),
            })
        }),
        other => panic!("{other} is not a keyword that is used"),
    }
}

fn accepts_items(rule: &Value, items: &[Value]) -> bool {
    match rule {
        Value::Array(rules) => rules.iter().zip(items).all(|(rule, item)| accepts(rule, item)),
        rule => items.iter().all(|item| accepts(rule, item)),
    }
}

fn is_named(schema: &Map<String, Value>, name: &str) -> bool {
    let listed = schema.get("properties").is_some_and(|map| map.get(name).is_some());
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    listed
        || patterns
            .is_some_and(|map| map.keys().any(|pattern| matches(&pattern.as_str().into(), name)))
}

fn matches(pattern: &Value, text: &str) -> bool {
    let pattern = pattern.as_str().expect("a pattern is text");
    regex_lite::Regex::new(pattern).expect("a pattern is a good one").is_match(text)
}

fn is_kind(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type has a name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is not a type"),
    }
}

/// Values of every kind; most of them are wrong for most keys.
fn values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "a",
        "Review",
        " a",
        "a ",
        "a/b",
        "a\tb",
        "a\0b",
        "ä b",
        ".",
        "..",
        "...",
        "./a",
        "a/.",
        "a//b",
        "a/",
        "/a",
        "../a",
        "a/../b",
        "a/..b",
        "..a/b",
        ".git",
        ".git/x",
        "./.git",
        ".gitignore",
        "x/.git",
        "agent:a",
        "agent:",
        "human:b c",
        "me",
        "claude",
        "codex",
        "gemini",
        "opencode",
        "script",
        "Claude",
        "file",
        "final_message",
        "keep",
        "discard",
        "A=B",
        "A*",
        "*",
        "*A",
        "A*B",
        "A**",
        "LATTICE_X",
        "worktree",
        "none",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| Value::from(*text)).collect();
    values.extend(texts.iter().map(|text| json!([text])));
    values.extend(texts.iter().map(|text| json!(["good", text])));
    values.extend(texts.iter().map(|text| json!({*text: "value"})));
    values.extend(["x".repeat(64), "ä".repeat(64), "x".repeat(65)].map(Value::from));
    for number in ["0", "1", "-1", "0.5", "1.5", "3600", "3600.5", "10080", "10080.1", "1e300"] {
        values.push(serde_json::from_str(number).expect("a number"));
    }
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([1]),
        json!([null]),
    ]);
    values.extend([
        json!({"A": 1}),
        json!({"A": null}),
        json!({"x_a": 1}),
        json!({"$schema": 1}),
        json!([["a"]]),
    ]);
    values
}

/// Definitions to put each of these values into.
fn bases() -> [Value; 4] {
    [
        json!({"name": "N", "command": "true", "worktree": true}),
        json!({"name": "N", "engine": "claude", "prompt_file": "p.md", "worktree": true}),
        json!({"name": "N", "engine": "script", "command": ["make"]}),
        json!({}),
    ]
}

#[track_caller]
fn check(schema: &Value, definition: &Value) {
    let parsed = parse(definition.to_string().as_bytes());
    assert_eq!(accepts(schema, definition), parsed.is_ok(), "{definition}: {parsed:?}");
}

#[test]
fn the_schema_accepts_what_the_parser_accepts() {
    let (schema, values) = (schema(), values());
    let names = KEYS.iter().map(|key| key.name).chain(["$schema", "x_note", "unknown"]);
    for name in names {
        for value in &values {
            for mut base in bases() {
                base[name] = value.clone();
                check(&schema, &base);
            }
        }
    }
    for (outer, keys) in [("env", ENV_KEYS), ("limits", LIMIT_KEYS)] {
        for name in keys.iter().map(|key| key.name).chain(["$schema", "x_note", "unknown"]) {
            for value in &values {
                let [mut base, ..] = bases();
                base[outer] = json!({name: value});
                check(&schema, &base);
            }
        }
    }
    for value in values {
        check(&schema, &value);
    }
}

/// What the schema has no words for.
#[test]
fn where_the_parser_knows_more() {
    for definition in [
        json!({"name": "N", "command": "x", "worktree": true, "copy": ["a"], "link": ["a/b"]}),
        json!({"name": "N", "command": "x", "limits": {"log_bytes": 1.0}}),
    ] {
        assert!(
            accepts(&schema(), &definition) && parse(definition.to_string().as_bytes()).is_err()
        );
    }
}

#[test]
fn every_key_is_explained_and_its_default_is_one() {
    for key in KEYS.iter().chain(ENV_KEYS).chain(LIMIT_KEYS) {
        assert!(key.about.ends_with('.'), "{}", key.name);
    }
    let mut definition = bases()[0].clone();
    for key in KEYS {
        if let Some(default) = key.default.filter(|_| key.name != "worktree") {
            definition[key.name] = serde_json::from_str(default).unwrap();
        }
    }
    assert_eq!(parse(definition.to_string().as_bytes()), parse(bases()[0].to_string().as_bytes()));
}

#[test]
fn the_committed_schema_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../workers/.schema.json");
    assert!(
        fs_err::read_to_string(path).unwrap() == text(),
        "out of date: lattice worker schema > workers/.schema.json"
    );
}
