//! Secrets in a text that a person reads: each is replaced by the name of its variable.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use super::names::{SHORTEST, is_secret};
use super::veil::Veil;

const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;

/// The secrets of a run, by the names of their variables.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    secrets: Vec<(String, Vec<u8>)>,
    /// As text, with their lines; the longest first, so that no part of a longer one is left.
    parts: Vec<(String, String)>,
}

impl Mask {
    /// Takes all variables, and keeps those that are secret.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>) -> Self {
        let secrets = variables.into_iter().filter_map(|(name, value)| {
            let (name, value) = (name.to_string_lossy(), value.as_bytes().trim_ascii());
            let is_secret = value.len() >= SHORTEST && is_secret(&name, value);
            is_secret.then(|| (name.into_owned(), value.to_owned()))
        });
        Self::of(secrets.collect())
    }

    fn of(mut secrets: Vec<(String, Vec<u8>)>) -> Self {
        secrets.sort();
        secrets.dedup();
        let mut parts: Vec<(String, String)> = secrets
            .iter()
            .filter_map(|(name, value)| Some((name, str::from_utf8(value).ok()?)))
            // A key of many lines is printed line by line, and a tail may begin in its middle.
            .flat_map(|(name, value)| {
                value.lines().chain([value]).map(move |part| (name, part.trim()))
            })
            .filter(|(_, part)| part.len() >= SHORTEST)
            .map(|(name, part)| (name.clone(), part.to_owned()))
            .collect();
        parts.sort_by_key(|(_, part)| Reverse(part.len()));
        parts.dedup();
        Self { secrets, parts }
    }

    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.secrets.extend(other.secrets);
        Self::of(self.secrets)
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// For bytes instead of text. `None` where there is nothing to hide.
    pub fn veil(&self) -> Option<Veil> {
        Veil::new(&self.secrets)
    }

    /// The end of a log for a record: masked first and cut afterwards, to 20 lines and 4 KiB.
    pub fn tail(&self, text: &str) -> String {
        let masked = self.apply(text);
        let lines: Vec<&str> = masked.trim_end_matches('\n').lines().collect();
        let mut tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        if tail.len() > TAIL_BYTES {
            let cut = tail.ceil_char_boundary(tail.len() - TAIL_BYTES);
            tail.drain(..cut);
        }
        tail
    }

    pub fn apply(&self, text: &str) -> String {
        self.parts
            .iter()
            .fold(text.to_owned(), |text, (name, part)| text.replace(part, &format!("<{name}>")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(variables: &[(&str, &str)]) -> Mask {
        Mask::new(variables.iter().map(|(name, value)| (OsStr::new(*name), OsStr::new(*value))))
    }

    #[test]
    fn values_of_secret_names_are_replaced_by_the_name() {
        let mask = mask(&[
            ("API_KEY", "abcdef"),
            ("LONG_TOKEN", "abcdefgh"),
            ("HOME", "/root/x"),
            ("A_KEY", "abc"),
        ]);
        assert_eq!(mask.apply("abcdefgh abcdef abc /root/x"), "<LONG_TOKEN> <API_KEY> abc /root/x");
    }

    #[test]
    fn a_part_of_a_value_of_many_lines_is_as_secret_as_the_whole() {
        let mask = mask(&[("PRIVATE_KEY", "-----BEGIN-----\nc2VjcmV0\nbW9yZQ==\n")]);
        assert_eq!(mask.apply("bW9yZQ==\nend"), "<PRIVATE_KEY>\nend");
    }

    #[test]
    fn two_masks_hide_what_both_hide() {
        let both =
            mask(&[("A_KEY", "abcdef")]).and(mask(&[("B_KEY", "ghijkl"), ("A_KEY", "abcdef")]));
        assert_eq!(both.apply("abcdef ghijkl"), "<A_KEY> <B_KEY>");
        assert!(both == mask(&[("B_KEY", "ghijkl"), ("A_KEY", "abcdef")]));
    }
}
