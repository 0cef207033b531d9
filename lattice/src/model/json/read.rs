//! A reader for all that Python writes, and for what damage leaves.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::stand_in;

/// What Python's own reader refuses is deeper.
const DEPTH: usize = 1000;

/// What any parser takes.
const SHALLOW: usize = 128;

/// Reads one value. What a strict parser refuses but Python writes is kept: `Infinity` as a number that overflows,
/// `NaN` and lone surrogates by their stand-ins, a byte that is no UTF-8 as the surrogate that Python has for it.
pub fn parse_line(bytes: &[u8]) -> Option<Value> {
    // To look at the whole text once costs less than to look at each of its parts.
    let strict = || serde_json::from_str(str::from_utf8(bytes).ok()?).ok();
    let strict = if stand_in::may_be_in(bytes) { None } else { strict() };
    strict.or_else(|| deep(&lenient(&text(bytes))))
}

/// Whether a parser that is strict, passes values over without looking into them, and does not count how deep they are
/// finds nothing else in a text than [`parse_line`], if it finds anything.
pub fn is_plain(bytes: &[u8]) -> bool {
    let opened = || bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    !stand_in::may_be_in(bytes) && (bytes.len() < 2 * SHALLOW || opened() < SHALLOW)
}

/// The same for an object.
pub fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match parse_line(bytes)? {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Python goes deeper than the parser does by itself. Without any limit, one line could use up the stack.
fn deep(text: &str) -> Option<Value> {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return None;
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader).ok()?;
    reader.end().ok().map(|()| value)
}

/// The same for texts that go on as text: what has a stand-in becomes U+FFFD.
pub fn parse_lossy(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| parse_line(bytes).map(plain))
}

fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => stand_in::shown(&text).into(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, plain(value))).collect()
        }
        other => other,
    }
}

fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\udc{byte:02x}")));
    }
    text
}

/// Rewrites what Python accepts beyond JSON into JSON. Anything else is passed on for the parser to refuse.
fn lenient(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '"' => string(rest, &mut out),
            'N' if rest.starts_with("NaN") => replace(&mut out, stand_in::NAN, 3),
            'I' if rest.starts_with("Infinity") => replace(&mut out, "1e999", 8),
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

fn replace(out: &mut String, with: &str, taken: usize) -> usize {
    out.push_str(with);
    taken
}

/// Copies one string literal, from quote to quote, with stand-ins for its lone surrogates; gives the length that it
/// had.
fn string(text: &str, out: &mut String) -> usize {
    out.push('"');
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        if c == '\\' {
            at += escape(&text[at..], out);
            continue;
        }
        push(out, c);
        at += c.len_utf8();
        if c == '"' {
            break;
        }
    }
    at
}

fn escape(text: &str, out: &mut String) -> usize {
    let Some(first) = utf16_unit(text) else {
        let length = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
        return replace(out, &text[..length], length);
    };
    let second = text.get(6..).and_then(utf16_unit);
    let pair = [Some(first), second].into_iter().flatten();
    match char::decode_utf16(pair).next() {
        // Quotes, backslashes and controls have to stay escapes.
        Some(Ok(c)) if c < stand_in::MARK => replace(out, &text[..6], 6),
        Some(Ok(c)) => {
            push(out, c);
            6 * c.len_utf16()
        }
        _ => {
            out.extend(stand_in::of(first));
            6
        }
    }
}

/// A character that would make a stand-in with the one before becomes two: its own halves.
fn push(out: &mut String, c: char) {
    if out.ends_with(stand_in::MARK) && stand_in::is_second(c) {
        out.extend(c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| stand_in::of(*unit)));
    } else {
        out.push(c);
    }
}

/// The four digits of a `\uXXXX` that the text begins with.
fn utf16_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}
