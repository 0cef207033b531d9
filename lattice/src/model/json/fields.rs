//! A few fields of an object: the others are passed over, without a copy of what is in them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::read::parse_object;
use super::stand_in;

/// The fields of an object that are among the keys. What a strict parser refuses is read as by [`parse_object`].
pub fn parse_fields(bytes: &[u8], keys: &[&str]) -> Option<Map<String, Value>> {
    let strict = if stand_in::may_be_in(bytes) { None } else { strictly(bytes, keys) };
    strict.or_else(|| {
        let mut fields = parse_object(bytes)?;
        fields.retain(|key, _| keys.contains(&key.as_str()));
        Some(fields)
    })
}

fn strictly(bytes: &[u8], keys: &[&str]) -> Option<Map<String, Value>> {
    // To look at the whole text once costs less than to look at each of its parts.
    let mut reader = serde_json::Deserializer::from_str(str::from_utf8(bytes).ok()?);
    let fields = Among(keys).deserialize(&mut reader).ok()?;
    reader.end().ok().map(|()| fields)
}

#[derive(Clone, Copy)]
struct Among<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for Among<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Among<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key_seed(Key(self.0))? {
            match key {
                Some(key) => drop(fields.insert(key.to_owned(), entries.next_value()?)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

/// One of the keys, if it is one.
struct Key<'k>(&'k [&'k str]);

impl<'de, 'k> DeserializeSeed<'de> for Key<'k> {
    type Value = Option<&'k str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'k> Visitor<'_> for Key<'k> {
    type Value = Option<&'k str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|key| *key == text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_fields_are_what_the_whole_object_has_in_them() {
        let keys = ["id", "n", "list", "odd"];
        for text in [
            "{}",
            r#" {"id": "a", "other": {"id": 1}, "n": 12345678901234567890123, "list": [{"id": 2}]} "#,
            r#"{"id": 1, "id": 2}"#,
            r#"{"id": "\u00e9\ud83d\ude00", "other": "\ud800"}"#,
            r#"{"odd": "\ud800\ud7ff", "n": NaN, "other": Infinity}"#,
            "{\"id\": \"\u{d7ff}\"}",
        ] {
            let mut expected = parse_object(text.as_bytes()).unwrap();
            expected.retain(|key, _| keys.contains(&key.as_str()));
            assert_eq!(parse_fields(text.as_bytes(), &keys), Some(expected), "{text}");
        }
        for text in ["", "[]", "{", "{} {}", r#"{"id": 1"#, r#"{"other": [}"#] {
            assert_eq!(parse_fields(text.as_bytes(), &keys), None, "{text}");
        }
    }
}
