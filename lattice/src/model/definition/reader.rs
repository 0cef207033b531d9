//! Takes typed values out of a JSON object and notes everything that is wrong on the way.

use std::path::{Component, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::keys::{Key, MOST_GRACE_SECONDS, MOST_MINUTES};
use super::nearest::nearest;
use super::types::Problem;

/// One object. Each taker removes its key, so that what is left at the end is unknown.
pub(super) struct Reader<'a> {
    map: Map<String, Value>,
    /// `""`, or the keys above with a dot behind each.
    prefix: &'static str,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        map: Map<String, Value>,
        prefix: &'static str,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self { map, prefix, problems }
    }

    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(format!("{}{key}", self.prefix), message));
    }

    /// `null` is as good as absent.
    pub(super) fn value(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// A text; an empty one is as good as absent.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.word(key).filter(|text| !text.is_empty())
    }

    /// A text that may not be empty: that is for the caller to say.
    pub(super) fn word(&mut self, key: &str) -> Option<String> {
        let value = self.value(key)?;
        let Value::String(text) = value else {
            self.problem(key, format!("must be a string, not {}", kind(&value)));
            return None;
        };
        self.checked_text(key, text)
    }

    pub(super) fn one_of(&mut self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        let given = self.word(key)?;
        let found = words.iter().copied().find(|word| *word == given);
        if found.is_none() {
            let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            self.problem(key, format!("must be {}, not {given:?}", quoted.join(" or ")));
        }
        found
    }

    /// No program, path or variable can have a NUL in it.
    fn checked_text(&mut self, key: &str, text: String) -> Option<String> {
        if text.contains('\0') {
            self.problem(key, "must not contain a NUL character");
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.problem(key, format!("must be true or false, not {}", kind(&other)));
                default
            }
        }
    }

    pub(super) fn object(&mut self, key: &str) -> Map<String, Value> {
        match self.value(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.problem(key, format!("must be an object, not {}", kind(&other)));
                Map::new()
            }
        }
    }

    /// A number of minutes above zero, at most a week.
    pub(super) fn minutes(&mut self, key: &str) -> Option<Duration> {
        self.duration(key, 60.0, false, MOST_MINUTES)
    }

    /// A number of seconds, at most an hour.
    pub(super) fn seconds(&mut self, key: &str) -> Option<Duration> {
        self.duration(key, 1.0, true, MOST_GRACE_SECONDS)
    }

    fn duration(&mut self, key: &str, unit: f64, zero: bool, most: u32) -> Option<Duration> {
        let value = self.value(key)?;
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            _ => None,
        };
        let in_range =
            |number: &f64| (*number > 0.0 || zero && *number == 0.0) && *number <= f64::from(most);
        let duration = number
            .filter(in_range)
            .and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
        if duration.is_none() {
            let least = if zero { "at least 0" } else { "above 0" };
            self.problem(key, format!("must be a number {least} and at most {most}"));
        }
        duration
    }

    /// A whole number above zero.
    pub(super) fn count(&mut self, key: &str) -> Option<u64> {
        self.whole(key, 1, u64::MAX)
    }

    pub(super) fn whole(&mut self, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(key)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let range = match (least, most) {
                (1, u64::MAX) => "above 0".to_owned(),
                (_, u64::MAX) => format!("not below {least}"),
                _ => format!("from {least} to {most}"),
            };
            self.problem(key, format!("must be a whole number {range}"));
        }
        number
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.problem(key, format!("must be an array of strings, not {}", kind(&value)));
            return Vec::new();
        };
        self.strings(key, items)
    }

    pub(super) fn strings(&mut self, key: &str, items: Vec<Value>) -> Vec<String> {
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(text) => texts.extend(self.checked_text(key, text)),
                other => self.problem(key, format!("must hold strings only, not {}", kind(&other))),
            }
        }
        texts
    }

    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        self.checked_path(key, &text)
    }

    pub(super) fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        let texts = self.texts(key);
        texts.iter().filter_map(|text| self.checked_path(key, text)).collect()
    }

    /// A path below the project root, without `.` in it.
    pub(super) fn checked_path(&mut self, key: &str, text: &str) -> Option<PathBuf> {
        let mut path = PathBuf::new();
        for component in PathBuf::from(text).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                _ => {
                    self.problem(
                        key,
                        format!(
                            "{text:?} leaves the project: use a path below its root, without `..`"
                        ),
                    );
                    return None;
                }
            }
        }
        if path.as_os_str().is_empty() {
            self.problem(key, format!("{text:?} names no file below the project root"));
            return None;
        }
        Some(path)
    }

    /// Whatever was not taken is unknown, comments excepted.
    pub(super) fn finish(self, known: &[Key]) {
        let known: Vec<&str> = known.iter().map(|key| key.name).collect();
        for key in self.map.keys().filter(|key| *key != "$schema" && !key.starts_with("x_")) {
            let message = match nearest(key, &known) {
                Some(meant) => format!("is not a key that Lattice knows (did you mean {meant:?}?)"),
                None => "is not a key that Lattice knows".to_owned(),
            };
            self.problems.push(Problem::new(format!("{}{key}", self.prefix), message));
        }
    }
}

/// What a value is, in the words of JSON.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
