//! The bytes of one event log: which lines are broken or there twice, and the log without them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;
use std::iter;

use super::event::Event;
use super::line::{Line, Told};

/// Tries to find a whole event behind a torn one. More of them in one line is no accident.
const ATTEMPTS: usize = 16;
/// Keys are sorted, so every event begins like this.
const BEGINNING: &[u8] = b"{\"actor\":";

/// What is wrong with one line; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// The last line is no object and has no line end: a write was cut off.
    Torn { line: usize },
    /// The last line is whole but for its line end.
    Unended { line: usize },
    /// No object.
    Broken { line: usize },
    /// The same event stands above already.
    Repeated { line: usize, id: String },
    /// Another event above has this ID.
    SameId { line: usize, id: String },
}

/// The events of a log, and everything that is wrong with it, both in file order.
pub fn examine(log: &[u8]) -> (Vec<Line<'_>>, Vec<Flaw>) {
    let mut known = Known::default();
    let mut flaws = Vec::new();
    for (index, (_, text)) in lines(log).enumerate() {
        let line = index + 1;
        let is_ended = text.ends_with(b"\n");
        match (Line::parse(text.trim_ascii()), is_ended) {
            _ if text.trim_ascii().is_empty() => {}
            (None, false) => flaws.push(Flaw::Torn { line }),
            (None, true) => flaws.push(Flaw::Broken { line }),
            (Some(event), _) => {
                match known.add(event) {
                    Standing::New => {}
                    Standing::Repeated(id) => flaws.push(Flaw::Repeated { line, id }),
                    Standing::SameId(id) => flaws.push(Flaw::SameId { line, id }),
                }
                if !is_ended {
                    flaws.push(Flaw::Unended { line });
                }
            }
        }
    }
    (known.events, flaws)
}

/// A log without its broken and repeated lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Mended {
    pub kept: Vec<u8>,
    /// What is not in it any more, with its place in the old log.
    pub aside: Vec<(u64, Vec<u8>)>,
}

/// `None` if the log may stay as it is. Its last line must have its end. Whole events are kept also where they were
/// glued to a torn one, or to each other: older writers do not look at how a log ends.
pub fn mended(log: &[u8]) -> Option<Mended> {
    let mut known = Known::default();
    let mut mended = Mended { kept: Vec::with_capacity(log.len()), aside: Vec::new() };
    let mut is_split = false;
    for (offset, line) in lines(log) {
        let pieces = pieces(line);
        let is_glued = pieces.len() > 1;
        is_split |= is_glued;
        for piece in pieces {
            match piece {
                Piece::Blank(bytes) => mended.kept.extend_from_slice(bytes),
                Piece::Event(bytes, event) => {
                    if let Standing::Repeated(_) = known.add(Line::Whole(event)) {
                        mended.aside.push((offset, bytes.to_vec()));
                        continue;
                    }
                    mended.kept.extend_from_slice(bytes);
                    if is_glued && !bytes.ends_with(b"\n") {
                        mended.kept.push(b'\n');
                    }
                }
                Piece::Garbage(bytes) => mended.aside.push((offset, bytes.to_vec())),
            }
        }
    }
    (is_split || !mended.aside.is_empty()).then_some(mended)
}

enum Piece<'a> {
    Blank(&'a [u8]),
    Event(&'a [u8], Event),
    Garbage(&'a [u8]),
}

/// What a line consists of; usually of one event.
fn pieces(line: &[u8]) -> Vec<Piece<'_>> {
    if line.trim_ascii().is_empty() {
        return vec![Piece::Blank(line)];
    }
    if let Some(event) = Event::parse(line.trim_ascii()) {
        return vec![Piece::Event(line, event)];
    }
    let (mut pieces, mut garbage, mut at) = (Vec::new(), 0, 0);
    for _ in 0..ATTEMPTS {
        let Some(start) = find(&line[at..]).map(|found| at + found) else { break };
        let Some((length, event)) = leading_event(&line[start..]) else {
            at = start + 1;
            continue;
        };
        if garbage < start {
            pieces.push(Piece::Garbage(&line[garbage..start]));
        }
        pieces.push(Piece::Event(&line[start..start + length], event));
        (garbage, at) = (start + length, start + length);
    }
    if !line[garbage..].trim_ascii().is_empty() {
        pieces.push(Piece::Garbage(&line[garbage..]));
    }
    pieces
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(BEGINNING.len()).position(|window| window == BEGINNING)
}

/// The event that the bytes begin with, and its length; whatever follows it.
fn leading_event(bytes: &[u8]) -> Option<(usize, Event)> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
    let (length, event) = match values.next() {
        Some(Ok(value)) => (values.byte_offset(), Event::from_value(value)),
        // What strict JSON refuses may be the whole rest.
        _ => (bytes.len(), Event::parse(bytes.trim_ascii())),
    };
    event.filter(|event| !event.id().is_empty() && !event.kind().is_empty()).map(|e| (length, e))
}

/// Lines with their ends, and where they begin.
fn lines(log: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut offset, mut rest) = (0, log);
    iter::from_fn(move || {
        let (line, start) = (rest, offset);
        // A search of bytes; to split by a closure looks at each of them for itself.
        let length = rest.skip_until(b'\n').ok().filter(|length| *length > 0)?;
        offset += length as u64;
        Some((start, &line[..length]))
    })
}

#[derive(Default)]
struct Known<'a> {
    events: Vec<Line<'a>>,
    /// Where the first one with an ID is.
    first: HashMap<Cow<'a, str>, usize>,
}

enum Standing {
    New,
    Repeated(String),
    SameId(String),
}

impl<'a> Known<'a> {
    fn add(&mut self, event: Line<'a>) -> Standing {
        let number = self.events.len();
        let standing = match event.id() {
            "" => Standing::New,
            id => match *self.first.entry(event.id_text()).or_insert(number) {
                first if first == number => Standing::New,
                first if self.events[first].whole() == event.whole() => {
                    Standing::Repeated(id.to_owned())
                }
                _ => Standing::SameId(id.to_owned()),
            },
        };
        self.events.push(event);
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> String {
        format!(r#"{{"actor":"human:ana","data":{{"v":{{"actor":1}}}},"id":"{id}","type":"x_a"}}"#)
    }

    #[track_caller]
    fn check(log: &str, expected: &[Flaw], kept: Option<&str>, aside: &[&str]) {
        assert_eq!(examine(log.as_bytes()).1, expected);
        let mended = mended(log.as_bytes());
        let mended = mended.as_ref();
        let found = mended.map(|mended| std::str::from_utf8(&mended.kept).unwrap());
        assert_eq!(found, kept);
        let moved: Vec<&str> = mended
            .iter()
            .flat_map(|mended| &mended.aside)
            .map(|(_, bytes)| std::str::from_utf8(bytes).unwrap())
            .collect();
        assert_eq!(moved, aside);
    }

    #[test]
    fn whole_logs_stay() {
        let (a, b) = (event("a"), event("b"));
        check("", &[], None, &[]);
        check(&format!("{a}\r\n\n  {b}\n"), &[], None, &[]);
        check(&format!("{a}\n{b}"), &[Flaw::Unended { line: 2 }], None, &[]);
    }

    #[test]
    fn broken_lines_move_aside() {
        let (a, b) = (event("a"), event("b"));
        check(
            &format!("{a}\n<<<<<<< HEAD\n{b}\n"),
            &[Flaw::Broken { line: 2 }],
            Some(&format!("{a}\n{b}\n")),
            &["<<<<<<< HEAD\n"],
        );
        let torn = format!("{a}\n{{\"act");
        assert_eq!(examine(torn.as_bytes()).1, [Flaw::Torn { line: 2 }]);
    }

    #[test]
    fn an_event_behind_a_torn_one_is_found() {
        let (a, b) = (event("a"), event("b"));
        let half = &a[..30];
        check(
            &format!("{half}{b}\n"),
            &[Flaw::Broken { line: 1 }],
            Some(&format!("{b}\n")),
            &[half],
        );
        // Two writers that both forgot the line end.
        check(
            &format!("{a}{b}{half}\n"),
            &[Flaw::Broken { line: 1 }],
            Some(&format!("{a}\n{b}\n")),
            &[&format!("{half}\n")],
        );
        check(&format!("{a}{b}\n"), &[Flaw::Broken { line: 1 }], Some(&format!("{a}\n{b}\n")), &[]);
    }

    #[test]
    fn a_repeated_line_goes_and_another_event_of_that_id_stays() {
        let (a, other) = (event("a"), event("a").replace("ana", "bob"));
        check(
            &format!("{a}\n{a}\n"),
            &[Flaw::Repeated { line: 2, id: "a".to_owned() }],
            Some(&format!("{a}\n")),
            &[&format!("{a}\n")],
        );
        check(
            &format!("{a}\n{other}\n"),
            &[Flaw::SameId { line: 2, id: "a".to_owned() }],
            None,
            &[],
        );
    }
}
