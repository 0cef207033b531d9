//! JSON in the bytes that Python's `json` module writes, and a reader for the odd lines that it lets through.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// One line without white space and without its line end: event lines, hook input.
/// Keys are sorted because the map type sorts them.
pub fn compact(value: &Value) -> String {
    serialize(value, CompactFormatter)
}

/// Two spaces of indentation and one line end: snapshots, config, ids, artifact metadata, `--json`.
pub fn pretty(value: &Value) -> String {
    let mut text = serialize(value, PrettyFormatter::with_indent(b"  "));
    text.push('\n');
    text
}

/// One line as `json.dumps` writes it when nobody asks for less white space: for people.
pub fn spaced(value: &Value) -> String {
    serialize(value, Spaced)
}

/// Reads one value. What a strict parser refuses but Python writes is tolerated: `Infinity` stays (as an
/// overflowing number), `NaN` becomes null, lone surrogates and invalid UTF-8 become U+FFFD.
pub fn parse_line(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let text = String::from_utf8_lossy(bytes);
        serde_json::from_str(&lenient(&text)).ok()
    })
}

fn serialize<F: Formatter>(value: &Value, formatter: F) -> String {
    let mut bytes = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, Ascii(formatter)))
        .expect("a value tree has string keys and a vector takes every write");
    String::from_utf8(bytes).expect("only ASCII was written")
}

/// A space behind each comma and each colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Wraps a layout and makes strings ASCII and floats Python's.
struct Ascii<F>(F);

impl<F: Formatter> Formatter for Ascii<F> {
    fn write_number_str<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> io::Result<()> {
        writer.write_all(number(text).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| *c >= '\u{7f}') {
            writer.write_all(&text.as_bytes()[plain..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(&text.as_bytes()[plain..])
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

/// Integers keep their digits, whatever their size; anything with a point or an exponent is a float.
fn number(text: &str) -> String {
    if text == "-0" {
        return "0".to_owned();
    }
    if !text.contains(['.', 'e', 'E']) {
        return text.to_owned();
    }
    text.parse().map_or_else(|_| text.to_owned(), float)
}

/// `repr` of a Python float: the shortest digits that read back the same, as a plain number for decimal
/// exponents from -4 to 15, else in scientific form with a signed exponent of at least two digits.
fn float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent of a float is a small integer");
    if (-4..16).contains(&exponent) {
        // `{:?}` would switch to an exponent at other limits; `{}` never does, but leaves out `.0`.
        let mut plain = format!("{value}");
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Rewrites what Python accepts beyond JSON into JSON. Anything else is passed on for the parser to refuse.
fn lenient(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '"' => string(rest, &mut out),
            'N' if rest.starts_with("NaN") => replace(&mut out, "null", 3),
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

/// Copies one string literal, from quote to quote, without its lone surrogates; gives the length that it had.
fn string(text: &str, out: &mut String) -> usize {
    out.push('"');
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        if c == '\\' {
            at += escape(&text[at..], out);
            continue;
        }
        out.push(c);
        at += c.len_utf8();
        if c == '"' {
            break;
        }
    }
    at
}

fn escape(text: &str, out: &mut String) -> usize {
    match utf16_unit(text) {
        Some(0xd800..0xdc00)
            if matches!(text.get(6..).and_then(utf16_unit), Some(0xdc00..0xe000)) =>
        {
            out.push_str(&text[..12]);
            12
        }
        Some(0xd800..0xe000) => replace(out, "\\ufffd", 6),
        _ => {
            let length = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&text[..length]);
            length
        }
    }
}

/// The four digits of a `\uXXXX` that the text begins with.
fn utf16_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        let value = parse_line(input.as_bytes()).unwrap_or_else(|| panic!("not read: {input}"));
        assert_eq!(compact(&value), expected);
    }

    #[test]
    fn strings_are_ascii() {
        check(r#""a/b\"\\\b\f\n\r\t""#, r#""a/b\"\\\b\f\n\r\t""#);
        check("\"\u{7f} \u{e9} \u{2028} \u{1f600}\"", r#""\u007f \u00e9 \u2028 \ud83d\ude00""#);
        check(r#""\u0001\u001F\u007F""#, r#""\u0001\u001f\u007f""#);
    }

    #[test]
    fn numbers_are_pythons() {
        for (input, expected) in [
            ("1", "1"),
            ("-0", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1E-7", "1e-07"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5e300", "1.5e+300"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("12.345", "12.345"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
        ] {
            check(input, expected);
        }
        assert_eq!(compact(&Value::from(0.00001)), "1e-05");
    }

    #[test]
    fn keys_are_sorted_by_code_point() {
        check(r#"{"b":1,"a":{"d":[],"c":{}},"B":2}"#, r#"{"B":2,"a":{"c":{},"d":[]},"b":1}"#);
        check("{\"\u{1f600}\":1,\"\u{ffff}\":2}", r#"{"\uffff":2,"\ud83d\ude00":1}"#);
        check(r#"{"a":1,"a":2}"#, r#"{"a":2}"#);
    }

    #[test]
    fn odd_input_is_read() {
        check(
            r#"{"v":NaN,"w":Infinity,"x":-Infinity}"#,
            r#"{"v":null,"w":Infinity,"x":-Infinity}"#,
        );
        check(r#"{"v":"NaN","w":NaN}"#, r#"{"v":"NaN","w":null}"#);
        check(r#""\udcff \ud83d \ud83d\ude00 \\udcff""#, r#""\ufffd \ufffd \ud83d\ude00 \\udcff""#);
        assert_eq!(parse_line(b"\"\xff\"\r\n"), Some(Value::from("\u{fffd}")));
    }

    #[test]
    fn garbage_is_refused() {
        for input in ["", "{", "{\"a\":1", "{\"a\":1}{\"b\":2}", "\"\\", "\"\\ud8", "nan", "\"\n\""]
        {
            assert_eq!(parse_line(input.as_bytes()), None, "{input}");
        }
    }

    #[test]
    fn spaced_form() {
        let value = serde_json::json!({"b": [1, 2.50, {}], "a": {"c": null, "d": []}});
        assert_eq!(spaced(&value), r#"{"a": {"c": null, "d": []}, "b": [1, 2.5, {}]}"#);
    }

    #[test]
    fn pretty_form() {
        let value = parse_line(br#"{"b":[],"a":[1,{"x":null}],"c":{}}"#).unwrap();
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"b\": [],\n  \"c\": {}\n}\n";
        assert_eq!(pretty(&value), expected);
    }
}
