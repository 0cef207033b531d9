//! Values in the bytes that Python's `json` module writes.

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use super::stand_in;

/// One line without white space and without its line end: event lines, hook input.
pub fn compact(value: &Value) -> String {
    serialize(&Ordered(value), CompactFormatter)
}

/// The same for an object.
pub fn compact_object(fields: &Map<String, Value>) -> String {
    serialize(&OrderedFields(fields), CompactFormatter)
}

/// Two spaces of indentation and one line end: snapshots, config, ids, artifact metadata, `--json`.
pub fn pretty(value: &Value) -> String {
    ended(serialize(&Ordered(value), PrettyFormatter::with_indent(b"  ")))
}

/// The same for an object.
pub fn pretty_object(fields: &Map<String, Value>) -> String {
    ended(serialize(&OrderedFields(fields), PrettyFormatter::with_indent(b"  ")))
}

/// The same for our own structures, whose fields stay in their order.
pub fn pretty_struct(value: &impl Serialize) -> String {
    ended(serialize(value, PrettyFormatter::with_indent(b"  ")))
}

/// Whether bytes are what [`pretty_object`] writes, found out without writing it.
pub fn is_pretty_object(fields: &Map<String, Value>, bytes: &[u8]) -> bool {
    let mut rest = Expected(bytes);
    let formatter = Ascii(PrettyFormatter::with_indent(b"  "));
    let written =
        OrderedFields(fields).serialize(&mut Serializer::with_formatter(&mut rest, formatter));
    written.is_ok() && rest.0 == b"\n"
}

/// One line as `json.dumps` writes it when nobody asks for less white space: for people.
pub fn spaced(value: &Value) -> String {
    serialize(&Ordered(value), Spaced)
}

fn ended(mut text: String) -> String {
    text.push('\n');
    text
}

fn serialize<F: Formatter>(value: &impl Serialize, formatter: F) -> String {
    let mut bytes = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, Ascii(formatter)))
        .expect("a value tree has string keys and a vector takes every write");
    String::from_utf8(bytes).expect("only ASCII was written")
}

/// A value whose keys are written in the order of their code points, as Python has them.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            Value::Object(fields) => OrderedFields(fields).serialize(serializer),
            other => other.serialize(serializer),
        }
    }
}

/// The order of the map is that one, but where something stands in a key for what text cannot hold.
struct OrderedFields<'a>(&'a Map<String, Value>);

impl Serialize for OrderedFields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.iter().map(|(key, value)| (key, Ordered(value)));
        if self.0.keys().any(|key| !key.is_ascii() && key.contains(stand_in::MARK)) {
            let mut fields: Vec<_> = fields.collect();
            fields.sort_by_cached_key(|(key, _)| stand_in::code_points(key));
            return serializer.collect_map(fields);
        }
        serializer.collect_map(fields)
    }
}

/// What has to be written next; anything else is an error.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        // In two searches, each over many bytes at once.
        if text.is_ascii() && !text.as_bytes().contains(&0x7f) {
            return writer.write_all(text.as_bytes());
        }
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
fn number(text: &str) -> Cow<'_, str> {
    match text {
        "-0" => return "0".into(),
        stand_in::NAN => return "NaN".into(),
        _ => {}
    }
    if !text.contains(['.', 'e', 'E']) {
        return text.into();
    }
    text.parse().map_or(text.into(), |value| float(value).into())
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
