//! What is known of each real engine, written down apart from the product's table: its command line, how it fails, what
//! its records look like while it works.

use serde_json::{Value, json};

/// Line by line what its version of today needs.
pub fn expected_argv(engine: &str, session: &str, cwd: &str) -> Vec<String> {
    let line = match engine {
        "claude" => {
            "-p --dangerously-skip-permissions --output-format stream-json --verbose --session-id SESSION"
        }
        "codex" => {
            "exec --json -C DIR --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox -"
        }
        "gemini" => "--approval-mode yolo --skip-trust -o stream-json",
        _ => "run --format json --dir DIR --auto",
    };
    let word = |word: &str| word.replace("SESSION", session).replace("DIR", cwd);
    line.split(' ').map(word).collect()
}

/// `STREAM CODE CLASS`, by the exits that were measured.
pub fn failures(engine: &str) -> &'static [(&'static str, u8, &'static str)] {
    match engine {
        "claude" => &[
            ("claude-auth", 1, "auth"),
            ("claude-401", 1, "auth"),
            ("claude-429", 1, "rate_limit"),
            ("claude-529", 1, "rate_limit"),
            ("claude-500", 1, "server"),
            ("claude-404", 1, "model"),
            ("claude-402", 1, "budget"),
            ("claude-network", 1, "network"),
            ("claude-budget", 1, "budget"),
            ("claude-turns", 1, "budget"),
            ("claude-long", 1, "context"),
        ],
        "codex" => &[
            ("codex-401", 1, "auth"),
            ("codex-auth", 1, "auth"),
            ("codex-429", 1, "rate_limit"),
            ("codex-quota", 1, "rate_limit"),
            ("codex-500", 1, "server"),
            ("codex-model", 1, "model"),
            ("codex-dropped", 1, "network"),
            ("codex-long", 1, "context"),
        ],
        "gemini" => &[
            ("gemini-key", 144, "auth"),
            ("gemini-401", 145, "auth"),
            ("gemini-403", 147, "auth"),
            ("gemini-429", 173, "rate_limit"),
            ("gemini-500", 244, "server"),
            ("gemini-404", 1, "model"),
            ("gemini-network", 1, "network"),
            ("gemini-turns", 53, "budget"),
            ("gemini-long", 144, "context"),
        ],
        _ => &[
            ("opencode-401", 1, "auth"),
            ("opencode-429", 1, "rate_limit"),
            ("opencode-500", 1, "server"),
            ("opencode-404", 1, "model"),
            ("opencode-network", 1, "network"),
            ("opencode-402", 1, "budget"),
            ("opencode-long", 1, "context"),
        ],
    }
}

/// And nothing but words and an exit, where it fails before its first record.
pub fn last_words(engine: &str) -> &'static [(&'static str, u8, &'static str)] {
    match engine {
        "claude" => &[
            ("Unable to connect to API (ConnectionRefused)", 1, "network"),
            (
                "--dangerously-skip-permissions cannot be used with root/sudo privileges",
                1,
                "permissions",
            ),
        ],
        "codex" => &[(
            "Not inside a trusted directory and --skip-git-repo-check was not specified.",
            1,
            "untrusted",
        )],
        "gemini" => &[
            ("Please set an Auth method in your settings", 41, "auth"),
            ("", 145, "auth"),
            ("Gemini CLI is not running in a trusted directory.", 55, "untrusted"),
        ],
        _ => &[("Error: Unable to connect. Is the computer able to access the url?", 1, "network")],
    }
}

/// A record that is looked into, so that nothing of it may stay.
pub fn busy_record(engine: &str, text: &str) -> Value {
    match engine {
        "claude" => json!({"type": "user", "message": text}),
        "codex" => json!({"type": "item.completed", "item": {"type": "reasoning", "text": text}}),
        "gemini" => {
            json!({"type": "tool_result", "tool_id": "t", "status": "success", "output": text})
        }
        _ => json!({"type": "tool_use", "part": {"tool": "bash", "state": {"output": text}}}),
    }
}
