//! Kinds of failure: how each is recognized in what an engine says, and what a person can do about it.

use serde::{Deserialize, Serialize};

use super::account::Trouble;
use super::preset::Preset;
use crate::model::outcome::Reason;

/// `class` of a terminal event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Auth,
    RateLimit,
    Budget,
    Network,
    /// The provider's own fault.
    Server,
    Permissions,
    BadFlags,
    Untrusted,
    Model,
    /// The prompt, or what was read, is more than the model takes.
    Context,
    Timeout,
    Memory,
    /// Another limit of what a run may use up.
    Limit,
    Deliverable,
    /// The worktree, a setup command or the program.
    Setup,
}

/// A kind of failure that an engine can tell of.
struct Rule {
    class: Class,
    statuses: &'static [u64],
    /// The engine's own names for it.
    codes: &'static [&'static str],
    /// In lower case, anywhere in its words.
    words: &'static [&'static str],
    /// Behind the engine's name.
    says: &'static str,
    remedy: &'static str,
}

/// The first rule that fits counts, so the particular stands before the general.
const RULES: &[Rule] = &[
    Rule {
        class: Class::BadFlags,
        statuses: &[],
        codes: &[],
        words: &[
            "unknown option",
            "unknown argument",
            "unexpected argument",
            "unrecognized option",
            "unrecognized subcommand",
            "unrecognized argument",
            "not enough arguments",
            "requires --verbose",
            "invalid session id",
        ],
        says: "does not know its command line",
        remedy: "install the version that this lattice calls, or set `command` and `args`",
    },
    Rule {
        class: Class::Untrusted,
        statuses: &[],
        codes: &[],
        words: &["trusted folder", "trusted director", "trusted workspace", "untrusted"],
        says: "does not trust its directory",
        remedy: "trust the folder in its settings",
    },
    Rule {
        class: Class::Permissions,
        statuses: &[],
        codes: &[],
        words: &[
            "cannot be used with root",
            "root/sudo privileges",
            "permission denied by",
            "rejected permission",
        ],
        says: "was not allowed to do its work",
        remedy: "allow it in `args`, or in its settings",
    },
    Rule {
        class: Class::Budget,
        statuses: &[402],
        codes: &[
            "error_max_budget_usd",
            "error_max_turns",
            "insufficient_quota",
            "billing_error",
            "FatalTurnLimitedError",
        ],
        words: &[
            "credit balance",
            "insufficient_quota",
            "billing",
            "max budget",
            "maximum budget",
            "max session turns",
            "payment required",
        ],
        says: "used up what it may use",
        remedy: "raise its limit in `args`, or fill up the account",
    },
    Rule {
        class: Class::RateLimit,
        statuses: &[429, 529],
        codes: &["rate_limit", "rate_limit_error", "overloaded_error", "usage_limit_reached"],
        words: &[
            "rate limit",
            "rate_limit",
            "too many requests",
            "usage limit",
            "quota",
            "resource_exhausted",
            "overloaded",
            "status 429",
            "status 529",
        ],
        says: "was told to come back later",
        remedy: "wait, or use another model or account",
    },
    Rule {
        class: Class::Auth,
        statuses: &[401, 403],
        codes: &[
            "authentication_error",
            "authentication_failed",
            "permission_error",
            "FatalAuthenticationError",
            "ProviderAuthError",
        ],
        words: &[
            "not logged in",
            "/login",
            "invalid api key",
            "api key not valid",
            "incorrect api key",
            "unauthorized",
            "authentication",
            "auth method",
            "oauth token",
            "missing bearer",
            "gemini_api_key",
            "missing environment variable",
            "api key is missing",
            "status 401",
            "status 403",
        ],
        says: "could not sign in",
        remedy: "",
    },
    Rule {
        class: Class::Model,
        statuses: &[404],
        codes: &["model_not_found", "not_found_error", "ProviderModelNotFoundError"],
        words: &[
            "model not found",
            "model_not_found",
            "does not exist or you do not have access",
            "is not found for api version",
            "not_found_error",
            "unknown model",
        ],
        says: "does not know its model",
        remedy: "correct `model` in the definition",
    },
    Rule {
        class: Class::Context,
        statuses: &[413],
        codes: &["context_length_exceeded", "MessageOutputLengthError", "ContextOverflowError"],
        words: &[
            "prompt is too long",
            "exceeds the maximum number of tokens",
            "context_length",
            "context window",
            "maximum context",
            "request too large",
        ],
        says: "was given more than its model takes",
        remedy: "shorten the prompt, or use a model with more context",
    },
    Rule {
        class: Class::Network,
        statuses: &[408],
        codes: &[],
        words: &[
            "econnrefused",
            "econnreset",
            "enotfound",
            "etimedout",
            "eai_again",
            "connection refused",
            "connection reset",
            "connection error",
            "connection closed",
            "error sending request",
            "stream disconnected",
            "stream closed",
            "fetch failed",
            "socket hang up",
            "dns error",
            "network",
            "unable to connect",
            "timed out",
        ],
        says: "could not reach its provider",
        remedy: "check the network, proxy and base URL",
    },
    Rule {
        class: Class::Server,
        statuses: &[500, 502, 503, 504],
        codes: &[],
        words: &[
            "internal server error",
            "bad gateway",
            "service unavailable",
            "experiencing high demand",
            "status 500",
            "status 502",
            "status 503",
        ],
        says: "got an error from its provider",
        remedy: "run it again later",
    },
];

impl Class {
    /// Of what the engine itself has told.
    pub fn of_trouble(trouble: &Trouble) -> Option<Self> {
        let by_status =
            trouble.status.and_then(|status| find(|rule| rule.statuses.contains(&status)));
        let by_code = || {
            let code = trouble.code.as_deref()?;
            find(|rule| rule.codes.contains(&code))
        };
        by_status.or_else(by_code).or_else(|| Self::of_words(&trouble.words))
    }

    pub fn of_words(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        find(|rule| rule.words.iter().any(|needle| words.contains(needle)))
    }

    /// Of an end that the supervisors know of by themselves.
    pub fn of_reason(reason: Reason) -> Option<Self> {
        match reason {
            Reason::TimedOut | Reason::Idle => Some(Self::Timeout),
            Reason::MemoryLimit | Reason::OomKilled => Some(Self::Memory),
            Reason::ProcessLimit | Reason::CpuLimit | Reason::FileSizeLimit => Some(Self::Limit),
            Reason::DeliverableMissing => Some(Self::Deliverable),
            Reason::SpawnFailed | Reason::WorktreeFailed | Reason::SetupFailed => Some(Self::Setup),
            _ => None,
        }
    }

    /// What happened, behind the engine's name.
    pub fn says(self) -> &'static str {
        rule(self).map_or("failed", |rule| rule.says)
    }

    /// What a person can do.
    pub fn remedy(self, preset: &Preset) -> &'static str {
        match self {
            Self::Auth => preset.login,
            _ => rule(self).map_or("", |rule| rule.remedy),
        }
    }
}

fn find(fits: impl Fn(&Rule) -> bool) -> Option<Class> {
    RULES.iter().find(|rule| fits(rule)).map(|rule| rule.class)
}

fn rule(class: Class) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.class == class)
}
