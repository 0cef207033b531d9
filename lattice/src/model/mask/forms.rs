//! The forms in which a secret appears among bytes: as it is, and as JSON writes it. Other encodings (base64, URLs,
//! quoting of shells) are not known here.

use super::names::SHORTEST;

/// A longer form is cut into several, each of which is looked for by itself: so what must be held back is bounded.
pub(super) const LONGEST: usize = 4096;

/// One sequence of bytes that is to be hidden, without a line break: what is printed line by line appears so.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub(super) bytes: Vec<u8>,
    /// `<NAME>`, where it can stand anywhere and fits.
    pub(super) label: Vec<u8>,
}

/// Sorted by their bytes.
pub(super) fn forms(secrets: &[(String, Vec<u8>)]) -> Vec<Form> {
    let mut forms = Vec::new();
    for (name, value) in secrets {
        let mut add =
            |bytes: &[u8]| forms.extend(pieces(bytes).map(|piece| Form::new(name, piece)));
        for line in value.split(|&byte| byte == b'\n') {
            add(line.trim_ascii());
        }
        let Ok(text) = str::from_utf8(value) else { continue };
        for part in text.lines().map(str::trim).chain([text]) {
            let once = escaped(part);
            add(once.as_bytes());
            add(ascii(&once).as_bytes());
            // JSON in JSON: a file that a tool has read.
            add(escaped(&once).as_bytes());
        }
    }
    forms.sort();
    forms.dedup_by(|one, other| one.bytes == other.bytes);
    forms
}

impl Form {
    fn new(name: &str, piece: &[u8]) -> Self {
        // Of digits a number may have to be left.
        let is_number = piece.iter().all(u8::is_ascii_digit);
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let label = format!("<{name}>").into_bytes();
        let fits = is_plain && !is_number && label.len() <= piece.len();
        Self { bytes: piece.to_owned(), label: if fits { label } else { Vec::new() } }
    }
}

/// A rest that is too short for a piece stays with the last one.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes).filter(|bytes| bytes.len() >= SHORTEST);
    std::iter::from_fn(move || {
        let bytes = rest.take()?;
        if bytes.len() < LONGEST {
            return Some(bytes);
        }
        let (piece, behind) = bytes.split_at(LONGEST - SHORTEST);
        rest = Some(behind);
        Some(piece)
    })
}

/// The inside of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("text is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// As those write it that leave nothing but ASCII.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => text.push(char::from(byte)),
            _ => text.extend(["\\u", &format!("{unit:04x}")]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<String> {
        let forms = forms(&[("KEY".to_owned(), value.as_bytes().to_owned())]);
        forms.iter().map(|form| String::from_utf8(form.bytes.clone()).unwrap()).collect()
    }

    #[test]
    fn a_value_appears_as_it_is_and_as_json_writes_it() {
        assert_eq!(texts("tulip-4711"), ["tulip-4711"]);
        assert_eq!(
            texts(r#"tu"lip-ü"#),
            [r#"tu"lip-ü"#, r#"tu\"lip-\u00fc"#, r#"tu\"lip-ü"#, r#"tu\\\"lip-ü"#]
        );
        assert_eq!(
            texts("line-one\nline-two"),
            ["line-one", r"line-one\\nline-two", r"line-one\nline-two", "line-two"]
        );
    }

    #[test]
    fn a_long_value_is_looked_for_in_pieces() {
        let long: String = ('a'..='z').cycle().take(3 * LONGEST).collect();
        let pieces: Vec<&[u8]> = pieces(long.as_bytes()).collect();
        assert_eq!(pieces.concat(), long.as_bytes());
        assert!(pieces.iter().all(|piece| (SHORTEST..=LONGEST).contains(&piece.len())));
        assert_eq!(super::pieces(b"short").count(), 0);
    }
}
