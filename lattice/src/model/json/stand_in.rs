//! What Python's JSON has and neither JSON nor UTF-8 has, in the clothes of what they do have, so that a value read is
//! the value written: NaN is a zero that nobody writes, a lone surrogate two characters that nobody puts side by side.

use std::borrow::Cow;

/// A number that JSON can hold.
pub(super) const NAN: &str = "0e-78097832";

/// Before a character of plane 16 that has the surrogate's number in it. It is no character.
pub(super) const MARK: char = '\u{d7ff}';
const PLANE: u32 = 0x10_0000;

/// Two characters for a lone surrogate.
pub(super) fn of(unit: u16) -> [char; 2] {
    let second = char::from_u32(PLANE + u32::from(unit));
    [MARK, second.expect("plane 16 has no surrogates")]
}

/// The surrogate that a text begins with, and the length of its stand-in.
pub(super) fn surrogate(text: &str) -> Option<(u16, usize)> {
    let second = text.strip_prefix(MARK)?.chars().next().filter(|c| is_second(*c))?;
    let unit = u16::try_from(u32::from(second) - PLANE).ok()?;
    Some((unit, MARK.len_utf8() + second.len_utf8()))
}

/// What Python has in a text, by which it sorts keys. Two halves side by side are a character that could have been taken
/// for a stand-in.
pub(super) fn code_points(text: &str) -> Vec<u32> {
    let mut points = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (point, length) = surrogates(rest).unwrap_or((u32::from(c), c.len_utf8()));
        points.push(point);
        rest = &rest[length..];
    }
    points
}

/// The surrogate that a text begins with, or the character of two, and the length of what stands for it.
fn surrogates(text: &str) -> Option<(u32, usize)> {
    let (first, length) = surrogate(text)?;
    if let Some((second, more)) = surrogate(&text[length..])
        && let Some(Ok(c)) = char::decode_utf16([first, second]).next()
    {
        return Some((u32::from(c), length + more));
    }
    Some((u32::from(first), length))
}

/// Whether this would make a stand-in behind a mark that is none.
pub(super) fn is_second(c: char) -> bool {
    matches!(u32::from(c).checked_sub(PLANE), Some(0xd800..0xe000))
}

/// Whether a text has anything that could be mistaken for a stand-in.
pub(super) fn may_be_in(bytes: &[u8]) -> bool {
    // Nearly always neither of the bytes that a mark begins with is there, which is soon known.
    if !bytes.contains(&0xed) && !bytes.contains(&b'\\') {
        return false;
    }
    let is_mark = |found: &[u8]| found == b"\xed\x9f\xbf" || found.eq_ignore_ascii_case(b"\\ud7ff");
    bytes.windows(6).any(|six| is_mark(&six[..3]) || is_mark(six))
}

/// For people, who get the sign for what cannot be shown.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(MARK) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (written, length) = match surrogate(rest) {
            Some((_, length)) => (char::REPLACEMENT_CHARACTER, length),
            None => (c, c.len_utf8()),
        };
        out.push(written);
        rest = &rest[length..];
    }
    out.into()
}
