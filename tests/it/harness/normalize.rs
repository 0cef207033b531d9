//! Output made comparable: identifiers by order of appearance, times, commits, and the sandbox's own paths.

use std::collections::HashMap;

const KINDS: [(&str, &str); 4] =
    [("task_", "task"), ("ev_", "ev"), ("art_", "artifact"), ("inst_", "inst")];

/// Remembers which identifier was the first, so that labels agree over all commands of one sandbox.
#[derive(Default)]
pub struct Names {
    labels: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
    paths: Vec<(String, &'static str)>,
}

impl Names {
    /// The longest path first, so that a project inside a home keeps its own name.
    pub fn new(paths: Vec<(String, &'static str)>) -> Self {
        Self { paths, ..Self::default() }
    }

    pub fn normalize(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, name) in &self.paths {
            text = text.replace(path, name);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut boundary = true;
        while let Some(first) = rest.chars().next() {
            let taken = if boundary { self.token(rest) } else { None };
            let (length, written) = match taken {
                Some((length, label)) => (length, label),
                None => (first.len_utf8(), first.to_string()),
            };
            out.push_str(&written);
            boundary = !rest[..length].ends_with(|c: char| c.is_ascii_alphanumeric());
            rest = &rest[length..];
        }
        out
    }

    /// The last six characters of every event so far, by which people call runs, with a label of that width.
    pub fn tails(&self) -> Vec<(String, String)> {
        let events = self.labels.iter().filter(|(id, _)| id.starts_with("ev_"));
        let tail = |id: &str| id[id.len() - 6..].to_owned();
        events.map(|(id, label)| (tail(id), format!("<~{}", &label[1..]))).collect()
    }

    /// The length and the label of what `text` begins with, if that changes from run to run.
    fn token(&mut self, text: &str) -> Option<(usize, String)> {
        if let Some(length) = time(text) {
            return Some((length, "<time>".to_owned()));
        }
        if word(text, 40, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Some((40, "<sha>".to_owned()));
        }
        let (prefix, kind) = KINDS.iter().find(|(prefix, _)| text.starts_with(prefix))?;
        if !word(&text[prefix.len()..], 26, |b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let id = &text[..prefix.len() + 26];
        let counts = &mut self.counts;
        let label = self.labels.entry(id.to_owned()).or_insert_with(|| {
            let count = counts.entry(kind).or_default();
            *count += 1;
            format!("<{kind}{count}>")
        });
        Some((id.len(), label.clone()))
    }
}

/// Exactly `length` bytes of one kind, and no letter or digit behind them.
fn word(text: &str, length: usize, accept: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= length
        && bytes[..length].iter().all(|b| accept(*b))
        && !bytes.get(length).is_some_and(u8::is_ascii_alphanumeric)
}

fn time(text: &str) -> Option<usize> {
    const PATTERN: &[u8] = b"0000-00-00T00:00:00Z";
    let bytes = text.as_bytes().get(..PATTERN.len())?;
    let fits = |(byte, pattern): (&u8, &u8)| {
        if *pattern == b'0' { byte.is_ascii_digit() } else { byte == pattern }
    };
    bytes.iter().zip(PATTERN).all(fits).then_some(PATTERN.len())
}

#[test]
fn labels_follow_the_order_of_appearance() {
    let mut names = Names::new(vec![("/tmp/x".to_owned(), "$DIR")]);
    let (a, b) = ("task_01JABCDEFGHJKMNPQRSTVWXYZ0", "task_01JABCDEFGHJKMNPQRSTVWXYZ1");
    let text = format!("{b} {a} \"{b}\" at 2026-01-02T03:04:05Z in /tmp/x/y, xtask_{}", &a[5..]);
    assert_eq!(
        names.normalize(&text),
        format!("<task1> <task2> \"<task1>\" at <time> in $DIR/y, xtask_{}", &a[5..])
    );
    assert_eq!(names.normalize(a), "<task2>");
    assert_eq!(names.normalize("0123456789abcdef0123456789abcdef01234567 né"), "<sha> né");
}
