//! Bytes that a fuzzer would try, for two seconds: the seeds of `tests/fuzz/corpus` with small changes, the same each
//! time.

#[path = "../../tests/fuzz/readers.rs"]
mod readers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(2);
/// A fast machine tries no more.
const TRIALS: usize = 20_000;

/// What breaks readers when it comes into a text.
const WORDS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud83d",
    b"\\udc00",
    b"\\ud7ff",
    b"\xed\x9f\xbf",
    b"\xff",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"99999999999999999999999",
    b"\xf4\x8d\xa0\x80",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).expect("31 bits") % limit
    }

    /// One change: bytes away, bytes twice, a word in, a bit different.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        let start = self.below(bytes.len() + 1);
        let end = (start + self.below(40)).min(bytes.len());
        match self.below(4) {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let again = bytes[start..end].to_vec();
                let at = self.below(bytes.len() + 1);
                bytes.splice(at..at, again);
            }
            2 => drop(bytes.splice(start..start, WORDS[self.below(WORDS.len())].iter().copied())),
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }
}

fn mutate(corpus: &str, reader: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(corpus);
    let entries = fs_err::read_dir(directory).expect("there are seeds");
    let mut seeds: Vec<_> = entries.map(|entry| entry.expect("a seed").path()).collect();
    seeds.sort();
    let seeds: Vec<Vec<u8>> =
        seeds.iter().map(|seed| fs_err::read(seed).expect("a seed")).collect();
    let mut random = Random(1);
    let begin = Instant::now();
    for trial in 0..TRIALS {
        if begin.elapsed() > LIMIT {
            break;
        }
        let mut bytes = seeds[trial % seeds.len()].clone();
        // The seeds themselves come first.
        for _ in 0..if trial < seeds.len() { 0 } else { 1 + random.below(4) } {
            random.change(&mut bytes);
        }
        let result = catch_unwind(AssertUnwindSafe(|| reader(&bytes)));
        assert!(result.is_ok(), "trial {trial}: {}", bytes.escape_ascii());
    }
}

#[test]
fn no_log_breaks_the_reader() {
    mutate("events", readers::events);
}

#[test]
fn no_definition_breaks_the_reader() {
    mutate("definition", readers::definition);
}

#[test]
fn no_configuration_breaks_the_reader() {
    mutate("config", readers::config);
}
