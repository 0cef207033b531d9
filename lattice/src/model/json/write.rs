//! Values in the bytes that Python's `json` module writes.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::stand_in;

/// One line without white space and without its line end: event lines, hook input.
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

fn serialize<F: Formatter>(value: &Value, formatter: F) -> String {
    let mut bytes = Vec::with_capacity(256);
    Ordered(value)
        .serialize(&mut Serializer::with_formatter(&mut bytes, Ascii(formatter)))
        .expect("a value tree has string keys and a vector takes every write");
    String::from_utf8(bytes).expect("only ASCII was written")
}

/// A value whose keys are written in the order of their code points, as Python has them. The order of the map is that
/// one, but where something stands in a key for what text cannot hold.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            Value::Object(fields) if fields.keys().any(|key| key.contains(stand_in::MARK)) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_cached_key(|(key, _)| stand_in::code_points(key));
                serializer.collect_map(fields.into_iter().map(|(key, value)| (key, Ordered(value))))
            }
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(key, value)| (key, Ordered(value))))
            }
            other => other.serialize(serializer),
        }
    }
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
            // The second half of a stand-in was written with the first.
            if at < plain {
                continue;
            }
            writer.write_all(&text.as_bytes()[plain..at])?;
            if let Some((unit, length)) = stand_in::surrogate(&text[at..]) {
                write!(writer, "\\u{unit:04x}")?;
                plain = at + length;
                continue;
            }
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
    match text {
        "-0" => return "0".to_owned(),
        stand_in::NAN => return "NaN".to_owned(),
        _ => {}
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
