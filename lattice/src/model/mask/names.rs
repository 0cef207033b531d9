//! Which variables are secret, judged by their names and, for what is plainly something else, by their values.

/// A shorter value would mask ordinary words.
pub(super) const SHORTEST: usize = 6;

const WORDS: &[&str] =
    &["KEY", "TOKEN", "SECRET", "PASS", "CRED", "AUTH", "COOKIE", "PRIVATE", "_PWD", "_DSN"];

/// Variables that say where a secret is. Their values are paths.
const PLACES: &[&str] =
    &["_PATH", "_DIR", "_FILE", "_HOME", "_SOCK", "_SOCKET", "ASKPASS", "XAUTHORITY"];

/// What agents' records are made of. Nobody's secret, and without these words the records could not be read.
const PROTOCOL: &[&str] = &[
    "agent_message",
    "assistant",
    "cached_input_tokens",
    "completed",
    "content",
    "is_error",
    "message",
    "output_tokens",
    "permission_denials",
    "reasoning",
    "result",
    "session_id",
    "status",
    "step_finish",
    "step_start",
    "subtype",
    "success",
    "system",
    "thread_id",
    "tool_name",
    "tool_result",
    "tool_use",
    "total_cost_usd",
    "usage",
];

pub(super) fn is_secret(name: &str, value: &[u8]) -> bool {
    let name = name.to_ascii_uppercase().replace("AUTHOR_", "");
    let is_count = name.ends_with("TOKENS") && value.iter().all(u8::is_ascii_digit);
    let is_place = PLACES.iter().any(|place| name.ends_with(place)) && value.contains(&b'/');
    let is_ordinary = PROTOCOL.iter().any(|word| contains(word.as_bytes(), value));
    WORDS.iter().any(|word| name.contains(word)) && !is_count && !is_place && !is_ordinary
}

fn contains(word: &[u8], value: &[u8]) -> bool {
    !value.is_empty() && word.windows(value.len()).any(|part| part == value)
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_and_plain_values_decide() {
        for name in [
            "API_KEY",
            "github_token",
            "X_PWD",
            "SENTRY_DSN",
            "HTTP_AUTHORIZATION",
            "MY_AUTHOR_TOKEN",
        ] {
            assert!(is_secret(name, b"tulip-4711"), "{name}");
        }
        for (name, value) in [
            ("HOME", "tulip-4711"),
            ("GIT_AUTHOR_NAME", "Ana Example"),
            ("SSH_AUTH_SOCK", "/tmp/ssh/agent"),
            ("KEY_PATH", "/etc/key"),
            ("AUTH_MODE", "session"),
            ("MAX_OUTPUT_TOKENS", "128000"),
        ] {
            assert!(!is_secret(name, value.as_bytes()), "{name}");
        }
        assert!(is_secret("PASSWORD_FILE", b"tulip-4711"), "no path, so it is the secret itself");
    }
}
