//! Hides secrets in a stream of bytes, however it is cut into pieces. Every byte stays where it was: a secret becomes
//! as many other bytes, which may stand in JSON.
//!
//! What could be the beginning of a secret is held back until it is known what it is. Secrets that overlap are all
//! hidden.

use super::forms::{Form, LONGEST, forms};
use super::names::SHORTEST;

/// A quarter of what a pipe holds, because it stays for as long as the run, and before it what is held back.
const BUFFER: usize = 16 * 1024 + LONGEST;

/// What stands for a byte of a secret, and of one that is a number and may stand where JSON has one.
const STAR: u8 = b'*';
const DIGIT: u8 = b'9';

/// The filter, and the bytes that are in it.
pub struct Veil {
    /// Sorted by their bytes.
    forms: Vec<Form>,
    /// For each first byte where its forms begin; for the byte behind it that is where they end.
    first: Box<[u32; 257]>,
    /// The pairs of bytes with which a form begins, a bit each. Most text is let through by a look at this alone.
    pairs: Box<[u64; 1024]>,
    longest: usize,
    buffer: Vec<u8>,
    /// `..written` has been given out, `written..end` is held back, and of that the first `covered` bytes are secret.
    written: usize,
    end: usize,
    covered: usize,
    /// The next byte may stand in the middle of a secret, whose beginning somebody else has had.
    cut: bool,
}

impl Veil {
    pub(super) fn new(secrets: &[(String, Vec<u8>)]) -> Option<Self> {
        let forms = forms(secrets);
        let longest = forms.iter().map(|form| form.bytes.len()).max()?;
        let (mut first, mut pairs) = (Box::new([0; 257]), Box::new([0; 1024]));
        for form in &forms {
            for begin in &mut first[usize::from(form.bytes[0]) + 1..] {
                *begin += 1;
            }
            let pair = pair(form.bytes[0], form.bytes[1]);
            pairs[pair / 64] |= 1 << (pair % 64);
        }
        Some(Self {
            forms,
            first,
            pairs,
            longest,
            buffer: Vec::new(),
            written: 0,
            end: 0,
            covered: 0,
            cut: false,
        })
    }

    /// For a stream of which somebody else, who cannot be asked any more, has had the beginning.
    #[must_use]
    pub fn in_the_middle(mut self) -> Self {
        self.cut = true;
        self
    }

    /// Nothing is held back, and what comes next begins where no secret can have begun.
    pub fn is_empty(&self) -> bool {
        self.written == self.end && self.covered == 0 && !self.cut
    }

    /// Room for more of the stream. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.buffer.resize(BUFFER, 0);
        self.buffer.copy_within(self.written..self.end, 0);
        self.end -= self.written;
        self.written = 0;
        &mut self.buffer[self.end..]
    }

    /// So many bytes were put into the room. What can be written of the stream now.
    pub fn take(&mut self, count: usize) -> &[u8] {
        self.end += count;
        if self.cut && !self.find_end_of_cut() {
            return &[];
        }
        let held = self.beginning(&self.buffer[..self.end]);
        self.give_out(held)
    }

    /// What was held back, because for now nothing more comes. What is long enough to be a secret that somebody has
    /// cut is hidden like one; if the rest of it should come after all, so is that.
    pub fn rest(&mut self) -> &[u8] {
        if self.end == self.written {
            return &[];
        }
        self.room();
        if self.cut || self.end >= SHORTEST {
            self.covered = self.end;
        }
        self.cut = true;
        self.give_out(self.end)
    }

    /// Whether there is a secret in it.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let mut at = 0;
        while at < bytes.len() {
            at = self.next_candidate(bytes, at, bytes.len());
            if bytes.get(at..).is_some_and(|rest| self.longest_at(rest).is_some()) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Hides the secrets in the whole of something, and at its end one that is cut.
    pub fn hide(&self, bytes: &mut [u8]) {
        let begin = self.beginning(bytes);
        let length = bytes.len();
        self.cover(bytes, length, 0);
        if length - begin >= SHORTEST {
            let stands = filler(&bytes[begin..]);
            bytes[begin..].fill(stands);
        }
    }

    fn give_out(&mut self, until: usize) -> &[u8] {
        let mut buffer = std::mem::take(&mut self.buffer);
        let covered = self.cover(&mut buffer[..self.end], until, self.covered);
        self.buffer = buffer;
        self.covered = covered - until;
        self.written = until;
        &self.buffer[..until]
    }

    /// Hides what begins before `until`, and is secret up to `covered` for an older reason. Bytes from `until` on are
    /// not changed; up to where they are secret, too, is answered.
    fn cover(&self, bytes: &mut [u8], until: usize, mut covered: usize) -> usize {
        let mut label: Option<(usize, &[u8])> = None;
        let mut stands = filler(&bytes[..covered.min(bytes.len())]);
        let mut at = 0;
        while at < until {
            if at >= covered {
                write_label(bytes, label.take());
                at = self.next_candidate(bytes, at, until);
                if at == until {
                    break;
                }
            }
            if let Some(form) = self.longest_at(&bytes[at..]) {
                if at >= covered && at + form.bytes.len() <= until {
                    label = Some((at, &form.label));
                }
                covered = covered.max(at + form.bytes.len());
                stands = filler(&form.bytes);
            }
            // Whatever begins later does not look at this byte any more.
            if at < covered {
                bytes[at] = stands;
            }
            at += 1;
        }
        write_label(bytes, label.filter(|_| covered <= until));
        covered.max(until)
    }

    fn next_candidate(&self, bytes: &[u8], from: usize, until: usize) -> usize {
        let may_begin = |two: &[u8]| {
            let pair = pair(two[0], two[1]);
            self.pairs[pair / 64] & (1 << (pair % 64)) != 0
        };
        // A last byte alone is no secret, nor the beginning of one: such would be held back.
        let last = until.min(bytes.len().saturating_sub(1)).max(from);
        let found = bytes[from..bytes.len().min(last + 1)].windows(2).position(may_begin);
        found.map_or(until, |distance| from + distance)
    }

    fn of(&self, first: u8) -> &[Form] {
        let begin = usize::from(first);
        &self.forms[self.first[begin] as usize..self.first[begin + 1] as usize]
    }

    fn longest_at(&self, bytes: &[u8]) -> Option<&Form> {
        let fitting = self.of(*bytes.first()?).iter().filter(|form| bytes.starts_with(&form.bytes));
        fitting.max_by_key(|form| form.bytes.len())
    }

    /// Where the beginning of a form stands at the very end, or else the end.
    fn beginning(&self, bytes: &[u8]) -> usize {
        let from = bytes.len().saturating_sub(self.longest - 1);
        let is_beginning = |at: &usize| {
            let rest = &bytes[*at..];
            self.of(rest[0])
                .iter()
                .any(|form| form.bytes.len() > rest.len() && form.bytes.starts_with(rest))
        };
        (from..bytes.len()).find(is_beginning).unwrap_or(bytes.len())
    }

    /// Whether it is known by now how much of a cut secret there is.
    fn find_end_of_cut(&mut self) -> bool {
        let bytes = &self.buffer[..self.end];
        let ends = |form: &Form| {
            let most = bytes.len().min(form.bytes.len() - 1);
            (1..=most).rev().find(|&length| form.bytes.ends_with(&bytes[..length]))
        };
        let goes_on = |form: &Form| {
            let inner = &form.bytes[1..form.bytes.len() - 1];
            inner.windows(bytes.len()).any(|part| part == bytes)
        };
        if bytes.is_empty() || bytes.len() < self.longest && self.forms.iter().any(goes_on) {
            return false;
        }
        let ended = self.forms.iter().filter_map(ends).max().unwrap_or_default();
        self.covered = self.covered.max(ended);
        self.cut = false;
        true
    }
}

fn filler(secret: &[u8]) -> u8 {
    if secret.iter().all(u8::is_ascii_digit) { DIGIT } else { STAR }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

fn write_label(bytes: &mut [u8], label: Option<(usize, &[u8])>) {
    if let Some((at, label)) = label {
        bytes[at..at + label.len()].copy_from_slice(label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veil(secrets: &[(&str, &str)]) -> Veil {
        let secrets: Vec<(String, Vec<u8>)> = secrets
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_owned()))
            .collect();
        Veil::new(&secrets).unwrap()
    }

    /// What comes out when the pieces go in one by one, and what was held back behind each.
    fn through(veil: &mut Veil, pieces: &[&[u8]]) -> (String, Vec<usize>) {
        let (mut out, mut held, mut given) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            veil.room()[..piece.len()].copy_from_slice(piece);
            out.extend_from_slice(veil.take(piece.len()));
            given += piece.len();
            held.push(given - out.len());
        }
        out.extend_from_slice(veil.rest());
        assert_eq!(out.len(), given, "every byte stays where it was");
        (String::from_utf8(out).unwrap(), held)
    }

    const SECRETS: [(&str, &str); 3] =
        [("KEY", "tulip-4711"), ("LONG_NAME", "secret"), ("LINES", "first line\nother line")];

    #[test]
    fn secrets_are_hidden_however_the_stream_is_cut() {
        let text =
            "a tulip-4711, tulip-4712, secret.\nfirst line\nother lines\ntulip-4711tulip-471";
        let hidden =
            "a <KEY>*****, tulip-4712, ******.\n<LINES>***\n<LINES>***s\n<KEY>**************";
        assert_eq!(through(&mut veil(&SECRETS), &[text.as_bytes()]).0, hidden);
        for size in 1..30 {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let (out, held) = through(&mut veil(&SECRETS), &pieces);
            // Where a piece ends in the middle of a secret the name has no room.
            let stars = |text: &str| text.replace("<KEY>", "*****").replace("<LINES>", "*******");
            assert_eq!(stars(&out), stars(hidden), "in pieces of {size}");
            assert!(held.iter().all(|&held| held < 21), "{held:?}");
        }
    }

    #[test]
    fn only_what_may_be_a_secret_is_held_back() {
        let (_, held) = through(&mut veil(&SECRETS), &[b"a tu", b"lips", b"\n", b"secre"]);
        assert_eq!(held, [2, 1, 0, 5]);
    }

    #[test]
    fn secrets_that_overlap_are_hidden_both() {
        let mut veil = veil(&[("A", "abcdefgh"), ("B", "efghijkl"), ("C", "cdefgh")]);
        let (out, _) = through(&mut veil, &[b"_abcd", b"efghij", b"kl_abcdefgh_cdefghijkl_"]);
        assert_eq!(out, "_************_<A>*****_<C>*******_");
    }

    /// A shim was killed with the beginning, and the warden reads the rest.
    #[test]
    fn the_rest_of_a_secret_is_one_too() {
        for (pieces, hidden) in [
            (&[&b"ip-4711 and on"[..]][..], "******* and on"),
            (&[b"i", b"p-", b"4711", b" and on"], "******* and on"),
            (&[b"4711tulip-4711"], "9999<KEY>*****"),
            (&[b"unrelated"], "unrelated"),
            (&[b"ip-47", b"nothing"], "ip-47nothing"),
            (&[b"ip-47"], "*****"),
            (&[b"\n", b"tulip-4711"], "\n<KEY>*****"),
        ] {
            assert_eq!(through(&mut veil(&SECRETS).in_the_middle(), pieces).0, hidden);
        }
    }

    #[test]
    fn what_is_held_back_can_be_asked_for() {
        let mut veil = veil(&SECRETS);
        for (piece, now, rest) in [
            ("x tul", "x ", "tul"),
            ("y tulip-47", "y ", "********"),
            ("11 z", "99 z", ""),
            ("secret", "*****", "*"),
        ] {
            veil.room()[..piece.len()].copy_from_slice(piece.as_bytes());
            assert_eq!(str::from_utf8(veil.take(piece.len())).unwrap(), now);
            assert_eq!(str::from_utf8(veil.rest()).unwrap(), rest);
        }
        assert!(veil.rest().is_empty());
    }

    /// Else the record that it stands in could not be read any more.
    #[test]
    fn a_number_stays_one() {
        for size in 1..20 {
            let text = b"{\"n\":-47114711.5,\"s\":\"47114711\",\"m\":4711}";
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            let (out, _) = through(&mut veil(&[("KEY", "47114711")]), &pieces);
            assert_eq!(out, r#"{"n":-99999999.5,"s":"99999999","m":4711}"#, "in pieces of {size}");
        }
    }

    #[test]
    fn a_whole_text_is_hidden_in_place() {
        let mut text = b"secret tulip-4711\xff tulip-4".to_vec();
        let veil = veil(&SECRETS);
        assert!(veil.finds(&text) && veil.finds(b"x secret") && !veil.finds(b"secre tulip-471"));
        veil.hide(&mut text);
        assert!(!veil.finds(&text) && !veil.finds(b""));
        assert_eq!(text, b"****** <KEY>*****\xff *******");
    }

    #[test]
    fn a_secret_longer_than_a_form_is_hidden_piece_by_piece() {
        let long: String = ('a'..='z').cycle().take(10_000).collect();
        let mut veil = veil(&[("LONG", &long)]);
        let text = format!("_{long}_");
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
        let (out, _) = through(&mut veil, &pieces);
        assert!(!out.contains("mnopqr") && out.starts_with('_') && out.ends_with('_'), "{out}");
    }
}
