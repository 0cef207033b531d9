//! Keeping secrets out of what is committed: exact values of variables whose names say that they are secret.

/// The values to mask, longest first so that no part of a longer one is left.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    secrets: Vec<(String, String)>,
}

const WORDS: &[&str] =
    &["KEY", "TOKEN", "SECRET", "PASS", "CRED", "AUTH", "COOKIE", "PRIVATE", "_PWD", "_DSN"];

const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 4096;

/// A shorter value would mask ordinary words.
const SHORTEST: usize = 6;

impl Mask {
    pub fn new<'a>(environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| is_secret_name(name))
            // A key of many lines is printed line by line, and a tail may begin in its middle.
            .flat_map(|(name, value)| {
                value.lines().chain([value]).map(move |part| (name, part.trim()))
            })
            .filter(|(_, part)| part.len() >= SHORTEST)
            .map(|(name, part)| (name.to_owned(), part.to_owned()))
            .collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        Self { secrets }
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
        self.secrets
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("<{name}>")))
    }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word))
        && !name.ends_with("_PATH")
        && name != "SSH_AUTH_SOCK"
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn values_of_secret_names_are_replaced_by_the_name() {
        let mask = Mask::new([
            ("API_KEY", "abcdef"),
            ("LONG_TOKEN", "abcdefgh"),
            ("HOME", "/root/x"),
            ("A_KEY", "abc"),
        ]);
        assert_eq!(mask.apply("abcdefgh abcdef abc /root/x"), "<LONG_TOKEN> <API_KEY> abc /root/x");
    }

    #[test]
    fn a_part_of_a_value_of_many_lines_is_as_secret_as_the_whole() {
        let mask = Mask::new([("PRIVATE_KEY", "-----BEGIN-----\nc2VjcmV0\nbW9yZQ==\n")]);
        assert_eq!(mask.apply("bW9yZQ==\nend"), "<PRIVATE_KEY>\nend");
    }
}
