//! Cuts a stream into lines as it comes, with bounded memory.

/// A longer line is nobody's record: the last message of an agent is shorter by an order of magnitude.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The line at hand is too long, and what has come of it is gone.
    skipping: bool,
}

impl Lines {
    /// Gives every line that `bytes` completes, without its end.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.partial.is_empty() {
                each(line);
            } else {
                self.keep(line);
                if !std::mem::take(&mut self.skipping) {
                    each(&std::mem::take(&mut self.partial));
                }
            }
        }
        self.keep(bytes);
    }

    /// Drops the line at hand, and what comes of it.
    pub(super) fn skip(&mut self) {
        self.partial = Vec::new();
        self.skipping = true;
    }

    /// The last line, which has no end.
    pub(super) fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            each(&std::mem::take(&mut self.partial));
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping {
            return;
        }
        if self.partial.len() + bytes.len() > LONGEST {
            self.skip();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| found.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines.finish(|line| found.push(format!("{}…", String::from_utf8_lossy(line))));
        found
    }

    #[test]
    fn lines_are_the_same_wherever_the_stream_is_cut() {
        let whole: &[u8] = b"one\n\ntwo\r\nthree";
        let expected = ["one", "", "two\r", "three…"];
        for cut in 0..whole.len() {
            assert_eq!(lines(&[&whole[..cut], &whole[cut..]]), expected, "{cut}");
        }
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(lines(&single), expected);
    }

    #[test]
    fn a_line_without_end_costs_bounded_memory_and_only_itself() {
        let block = vec![b'x'; 1024 * 1024];
        let mut stream = Lines::default();
        let mut seen = Vec::new();
        for _ in 0..20 {
            stream.push(&block, |line| seen.push(line.len()));
            assert!(stream.partial.capacity() <= 2 * LONGEST, "{}", stream.partial.capacity());
        }
        stream.push(b"\nshort\n", |line| seen.push(line.len()));
        assert_eq!(seen, [5]);
    }
}
