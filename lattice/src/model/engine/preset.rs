//! The engines as data: when a command-line tool changes, a line changes here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::class::Class;
use crate::model::definition::EngineKind;

/// How one engine is run and understood.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    pub kind: EngineKind,
    /// Found by PATH; a definition's `command` replaces it. A script has none and is its `command`.
    pub program: Option<&'static str>,
    /// Behind the program.
    pub words: &'static [Word],
    /// Behind everything else, the definition's `args` included.
    pub tail: &'static [&'static str],
    /// Set unless the definition sets it otherwise.
    pub env: &'static [(&'static str, &'static str)],
    pub prompt: Travel,
    pub records: Records,
    pub refusals: &'static [Refusal],
    /// What to do when it cannot sign in.
    pub login: &'static str,
    pub credentials: Credentials,
    /// Where it has to be able to write, or it does not begin.
    pub state: &'static [Place],
    /// Variables with which it starts, and may still not work.
    pub doubts: &'static [Doubt],
    /// Exit codes that say what went wrong.
    pub exits: &'static [(i32, Class)],
}

/// A part of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Plain(&'static str),
    /// Left out where the definition's `args` decide the matter themselves, with one of these flags.
    Unless(&'static [&'static str], &'static [&'static str]),
    /// A flag and the definition's `model`; nothing without one.
    Model(&'static str),
    /// A flag and an identifier of the session that follows from the run's (UUID).
    Session(&'static str),
    /// A flag and the directory to work in.
    Directory(&'static str),
}

/// How the prompt gets to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// Standard input is the file with the prompt: of any size, whatever it begins with.
    Stdin,
    /// The last argument, behind this word; a prompt that is too long for one becomes a request to read its file.
    Argument(&'static str),
}

/// What the lines of its standard output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// Anything: the exit code decides.
    None,
    Claude,
    Codex,
    Gemini,
    Opencode,
}

/// A surrounding in which the engine is known to do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub when: When,
    pub message: &'static str,
    pub hint: &'static str,
}

/// Where an engine's login can be seen: one of them is enough. It may have another one, such as a keychain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    pub variables: &'static [&'static str],
    pub files: &'static [Place],
}

/// Something in the directory that a variable names, else in one below the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub variable: &'static str,
    pub home: &'static str,
    pub path: &'static str,
}

impl Place {
    /// By the values of variables; `None` without a home.
    pub fn find<'a>(&self, value: impl Fn(&str) -> Option<&'a OsStr>) -> Option<PathBuf> {
        let directory = match value(self.variable) {
            Some(directory) => PathBuf::from(directory),
            None => Path::new(value("HOME")?).join(self.home),
        };
        // Joining nothing would end it with a slash.
        Some(if self.path.is_empty() { directory } else { directory.join(self.path) })
    }
}

/// A variable with a value that a user should know the consequences of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    pub variable: &'static str,
    pub value: &'static str,
    pub message: &'static str,
    pub hint: &'static str,
}

const NO_CREDENTIALS: Credentials = Credentials { variables: &[], files: &[] };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The user is root, one of these words is on the command line, and none of the variables has its value.
    Root { words: &'static [&'static str], unless: &'static [(&'static str, &'static str)] },
    /// The variable has this value, which needs this program, and it is not on PATH. Linux only.
    NeedsProgram { variable: (&'static str, &'static str), program: &'static str },
    /// The variable is set and names no directory.
    NoDirectory(&'static str),
}

pub const TABLE: &[Preset] = &[
    Preset {
        kind: EngineKind::Claude,
        program: Some("claude"),
        words: &[
            Word::Plain("-p"),
            Word::Unless(
                &["--dangerously-skip-permissions"],
                &["--permission-mode", "--dangerously-skip-permissions"],
            ),
            // Line by line needs --verbose.
            Word::Plain("--output-format"),
            Word::Plain("stream-json"),
            Word::Plain("--verbose"),
            Word::Session("--session-id"),
            Word::Model("--model"),
        ],
        tail: &[],
        env: &[],
        prompt: Travel::Stdin,
        records: Records::Claude,
        refusals: &[
            Refusal {
                when: When::Root {
                    words: &[
                        "--dangerously-skip-permissions",
                        "bypassPermissions",
                        "--permission-mode=bypassPermissions",
                    ],
                    unless: &[("IS_SANDBOX", "1"), ("CLAUDE_CODE_BUBBLEWRAP", "1")],
                },
                message: "claude does not skip its permission checks for root, and without that it can do nothing here",
                hint: "as another user, or with \"env\": {\"set\": {\"IS_SANDBOX\": \"1\"}} in the definition if this machine is one, \
                   or with \"args\": [\"--permission-mode\", \"acceptEdits\", \"--allowedTools\", \"Bash\"]",
            },
            Refusal {
                when: When::NeedsProgram {
                    variable: ("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB", "1"),
                    program: "bwrap",
                },
                message: "claude does not start with CLAUDE_CODE_SUBPROCESS_ENV_SCRUB=1 without bubblewrap",
                hint: "install bubblewrap, or with \"env\": {\"drop\": [\"CLAUDE_CODE_SUBPROCESS_ENV_SCRUB\"]} in the definition",
            },
        ],
        login: "set ANTHROPIC_API_KEY, or CLAUDE_CODE_OAUTH_TOKEN from `claude setup-token`",
        credentials: Credentials {
            variables: &[
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_AUTH_TOKEN",
                "CLAUDE_CODE_OAUTH_TOKEN",
                "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
                "CLAUDE_CODE_USE_BEDROCK",
                "CLAUDE_CODE_USE_VERTEX",
                "CLAUDE_CODE_USE_FOUNDRY",
                "CLAUDE_CODE_USE_ANTHROPIC_AWS",
                "CLAUDE_CODE_USE_MANTLE",
                "CLAUDE_CODE_USE_GATEWAY",
            ],
            files: &[Place {
                variable: "CLAUDE_CONFIG_DIR",
                home: ".claude",
                path: ".credentials.json",
            }],
        },
        state: &[],
        doubts: &[Doubt {
            variable: "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB",
            value: "1",
            message: "with CLAUDE_CODE_SUBPROCESS_ENV_SCRUB=1 claude takes keys away from what it starts",
            hint: "unset it if its tools need them",
        }],
        exits: &[],
    },
    Preset {
        kind: EngineKind::Codex,
        program: Some("codex"),
        words: &[
            Word::Plain("exec"),
            Word::Plain("--json"),
            Word::Directory("-C"),
            Word::Plain("--skip-git-repo-check"),
            Word::Unless(
                &["--dangerously-bypass-approvals-and-sandbox"],
                &[
                    "-s",
                    "--sandbox",
                    "--approve-for-me",
                    "--yolo",
                    "--dangerously-bypass-approvals-and-sandbox",
                ],
            ),
            Word::Model("-m"),
        ],
        // The prompt is what is read; without the dash it would be an appendix to an absent one.
        tail: &["-"],
        env: &[],
        prompt: Travel::Stdin,
        records: Records::Codex,
        refusals: &[Refusal {
            when: When::NoDirectory("CODEX_HOME"),
            message: "CODEX_HOME names no directory, and codex does not make it",
            hint: "create it, or unset CODEX_HOME",
        }],
        login: "set CODEX_API_KEY, or run `codex login`",
        credentials: Credentials {
            variables: &["CODEX_API_KEY", "CODEX_ACCESS_TOKEN"],
            files: &[Place { variable: "CODEX_HOME", home: ".codex", path: "auth.json" }],
        },
        state: &[Place { variable: "CODEX_HOME", home: ".codex", path: "" }],
        doubts: &[],
        exits: &[(2, Class::BadFlags)],
    },
    Preset {
        kind: EngineKind::Gemini,
        program: Some("gemini"),
        words: &[
            Word::Unless(&["--approval-mode", "yolo"], &["--approval-mode", "-y", "--yolo"]),
            // No worktree is among the folders that somebody has trusted.
            Word::Plain("--skip-trust"),
            Word::Plain("-o"),
            Word::Plain("stream-json"),
            Word::Model("-m"),
        ],
        tail: &[],
        env: &[
            // It would start itself a second time, and the first one hears no signal.
            ("GEMINI_CLI_NO_RELAUNCH", "true"),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        ],
        prompt: Travel::Stdin,
        records: Records::Gemini,
        refusals: &[],
        login: "set GEMINI_API_KEY, or run `gemini` once and sign in",
        credentials: Credentials {
            variables: &[
                "GEMINI_API_KEY",
                "GOOGLE_API_KEY",
                "GOOGLE_GENAI_USE_VERTEXAI",
                "GOOGLE_APPLICATION_CREDENTIALS",
            ],
            files: &[Place {
                variable: "GEMINI_CLI_HOME",
                home: "",
                path: ".gemini/oauth_creds.json",
            }],
        },
        state: &[Place { variable: "GEMINI_CLI_HOME", home: "", path: ".gemini" }],
        doubts: &[],
        exits: &[
            (41, Class::Auth),
            // HTTP 401 and 403, cut to eight bits.
            (145, Class::Auth),
            (147, Class::Auth),
            // HTTP 429.
            (173, Class::RateLimit),
            (53, Class::Budget),
            (55, Class::Untrusted),
        ],
    },
    Preset {
        kind: EngineKind::Opencode,
        program: Some("opencode"),
        words: &[
            Word::Plain("run"),
            Word::Plain("--format"),
            Word::Plain("json"),
            // It believes PWD rather than the system.
            Word::Directory("--dir"),
            Word::Unless(&["--auto"], &["--auto"]),
            Word::Model("-m"),
        ],
        tail: &[],
        env: &[],
        prompt: Travel::Stdin,
        records: Records::Opencode,
        refusals: &[],
        login: "set the key of its provider, or run `opencode auth login`",
        credentials: Credentials {
            variables: &[
                "ANTHROPIC_API_KEY",
                "OPENAI_API_KEY",
                "GEMINI_API_KEY",
                "GOOGLE_GENERATIVE_AI_API_KEY",
                "OPENROUTER_API_KEY",
            ],
            files: &[Place {
                variable: "XDG_DATA_HOME",
                home: ".local/share",
                path: "opencode/auth.json",
            }],
        },
        state: &[
            Place { variable: "XDG_CONFIG_HOME", home: ".config", path: "opencode" },
            Place { variable: "XDG_DATA_HOME", home: ".local/share", path: "opencode" },
            Place { variable: "XDG_STATE_HOME", home: ".local/state", path: "opencode" },
            Place { variable: "XDG_CACHE_HOME", home: ".cache", path: "opencode" },
        ],
        doubts: &[],
        exits: &[],
    },
    Preset {
        kind: EngineKind::Script,
        program: None,
        words: &[],
        tail: &[],
        env: &[],
        prompt: Travel::Stdin,
        records: Records::None,
        refusals: &[],
        login: "",
        credentials: NO_CREDENTIALS,
        state: &[],
        doubts: &[],
        exits: &[],
    },
];

/// The line of the table.
pub fn preset(kind: EngineKind) -> &'static Preset {
    TABLE.iter().find(|preset| preset.kind == kind).expect("the table has every engine")
}

/// The same for a name in a spec, which may be older or newer than this build.
pub fn by_name(name: &str) -> Option<&'static Preset> {
    EngineKind::parse(name).map(preset)
}
