//! Keeping secrets out of what is committed: exact values of variables whose names say that they are secret.

/// The values to mask, longest first so that no part of a longer one is left.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    secrets: Vec<(String, String)>,
}

const WORDS: &[&str] =
    &["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH", "COOKIE", "PRIVATE"];

/// A shorter value would mask ordinary words.
const SHORTEST: usize = 6;

impl Mask {
    pub fn new<'a>(environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, value)| is_secret_name(name) && value.len() >= SHORTEST)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        Self { secrets }
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
}
