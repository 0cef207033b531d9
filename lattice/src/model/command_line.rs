//! An argument vector as a person would type it.

/// Words that a shell reads back as the same arguments.
pub fn quoted(argv: &[String]) -> String {
    argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_change_is_quoted() {
        let argv = ["bash", "-c", "echo $HOME", "it's", "", "a=b"].map(str::to_owned);
        assert_eq!(quoted(&argv), r"bash -c 'echo $HOME' 'it'\''s' '' a=b");
    }
}
