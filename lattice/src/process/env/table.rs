//! Which variables an engine must not inherit, and why. Every other one is kept: a list of what to strip by prefix
//! alone has cost users of other tools their credentials.
//!
//! The names are those that the tool calls and hooks of claude, codex, gemini and opencode were seen to export, and
//! those that git exports to hooks and aliases (`git rev-parse --local-env-vars`, githooks(5)).

/// What becomes of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Kept although a wider pattern drops it.
    Keep,
    Drop,
}

/// When a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// While the caller has this variable with this value.
    Set(&'static str, &'static str),
}

#[derive(Debug)]
pub(super) struct Rule {
    /// Names, of which one `*` may stand for any characters.
    pub(super) patterns: &'static [&'static str],
    pub(super) when: When,
    pub(super) verdict: Verdict,
    pub(super) why: &'static str,
}

const fn drop(patterns: &'static [&'static str], why: &'static str) -> Rule {
    Rule { patterns, when: When::Always, verdict: Verdict::Drop, why }
}

const fn keep(patterns: &'static [&'static str], why: &'static str) -> Rule {
    Rule { patterns, when: When::Always, verdict: Verdict::Keep, why }
}

/// By these a CI runner finds what its job has left running, and ends it. A run is meant to outlive its caller, so
/// not even its supervisors have them. Jenkins wants all of its own to be there; `BUILD_ID`, which scripts use, may
/// stay.
pub const CLEANERS: &[&str] = &[
    "RUNNER_TRACKING_ID",
    "JENKINS_NODE_COOKIE",
    "JENKINS_SERVER_COOKIE",
    "HUDSON_SERVER_COOKIE",
    "HUDSON_COOKIE",
];

/// Variables by which git tells its hooks and aliases which repository they serve. They would point our own git
/// calls, and those of the engine, at the wrong repository, or at the author of another commit.
///
/// `GIT_CONFIG_COUNT` is local to a repository for git, but not in this list: containers use it to set
/// `safe.directory`, and nothing but a user sets it, gemini excepted: see the table below.
pub const GIT_LOCAL: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_REFLOG_ACTION",
    "GIT_PUSH_OPTION_COUNT",
    "GIT_EXEC_PATH",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_DATE",
];

/// Where two rules match, [`Verdict::Keep`] wins.
pub(super) const TABLE: &[Rule] = &[
    // claude
    drop(&["CLAUDECODE"], "marks a child of claude"),
    drop(
        &[
            "CLAUDE_CODE_CHILD_SESSION",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
            "CLAUDE_CODE_SESSION_ATTENDED",
            "CLAUDE_CODE_SESSION_KIND",
            "CLAUDE_CODE_SESSION_ORIGIN",
            "CLAUDE_CODE_CHILD_NOTES_DIR",
            "CLAUDE_PID",
            "CLAUDE_EFFORT",
            "CLAUDE_CODE_EXECPATH",
            "CLAUDE_CODE_INVOKED_SKILLS",
        ],
        "identity of the calling claude session",
    ),
    drop(&["CLAUDE_CODE_ENTRYPOINT"], "an inherited `claude-vscode` makes a child not logged in"),
    drop(
        &["CLAUDE_CODE_MESSAGING_SOCKET", "CLAUDE_CODE_MESSAGING_TOKEN"],
        "live channel and secret of the calling claude session",
    ),
    drop(
        &[
            "CLAUDE_JOB_DIR",
            "CLAUDE_BG_*",
            "CLAUDE_CODE_BRIDGE_*",
            "CLAUDE_BRIDGE_*",
            "CLAUDE_CODE_HOST_*",
            "CLAUDE_CODE_REMOTE*",
            "CLAUDE_CODE_RESUME_*",
            "CLAUDE_CODE_RELAUNCH_*",
            "CLAUDE_RELAUNCH_*",
            "CLAUDE_CODE_WORKER_EPOCH",
            "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
            "CLAUDE_CODE_USER_DELEGATED_SESSION*",
            "CLAUDE_CODE_COORDINATOR_MODE",
            "CLAUDE_CODE_TMUX_*",
            "CLAUDE_RUNNER_*",
            "CLAUDE_ENV_FILE",
            "CLAUDE_PROJECT_DIR",
            "CLAUDE_PLUGIN_ROOT",
            "CLAUDE_CODE_TASK_LIST_ID",
            "CLAUDE_CODE_AGENT_*",
        ],
        "wiring of one claude job or host",
    ),
    drop(&["*_FILE_DESCRIPTOR"], "number of a descriptor that the engine does not have"),
    drop(
        &[
            "CLAUDE_CODE_SIMPLE",
            "CLAUDE_CODE_SAFE_MODE",
            "CLAUDE_CODE_RESTRICTED",
            "CLAUDE_CODE_SKIP_PROMPT_HISTORY",
            "CLAUDE_CODE_EVEN_MORE_DANGEROUSLY_SKIP_PERMISSIONS",
        ],
        "mode of the calling claude run",
    ),
    drop(
        &["AI_AGENT", "AGENT", "TRACEPARENT", "TRACESTATE"],
        "marker or trace of the calling agent",
    ),
    keep(
        &[
            "ANTHROPIC_*",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
            "CLAUDE_CODE_OAUTH_SCOPES",
            "CLAUDE_CODE_OAUTH_CLIENT_ID",
        ],
        "credentials, endpoint and model of claude",
    ),
    keep(&["CLAUDE_CONFIG_DIR", "CLAUDE_SECURESTORAGE_CONFIG_DIR"], "where claude's login is"),
    keep(
        &["CLAUDE_CODE_USE_*", "CLAUDE_CODE_SKIP_*_AUTH", "CLOUD_ML_REGION", "AWS_*", "GOOGLE_*"],
        "choice of the provider, which needs all of its variables",
    ),
    keep(
        &[
            "CLAUDE_CODE_SUBAGENT_MODEL",
            "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB",
            "CLAUDE_CODE_MAX_RETRIES",
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
            "CLAUDE_CODE_DISABLE_*",
            "BASH_*_TIMEOUT_MS",
            "API_TIMEOUT_MS",
            "DISABLE_*",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "NODE_EXTRA_CA_CERTS",
            "IS_SANDBOX",
        ],
        "the user's own tuning",
    ),
    // codex
    drop(
        &[
            "CODEX_THREAD_ID",
            "CODEX_SESSION_ID",
            "CODEX_TOOL_CALL_ID",
            "CODEX_CI",
            "CODEX_VERSION",
            "CODEX_SHELL",
            "CODEX_PERMISSION_PROFILE",
            "CODEX_INTERNAL_ORIGINATOR_OVERRIDE",
            "CODEX_APPLY_PATCH_*",
            "CODEX_MANAGED_BY_NPM",
            "CODEX_MANAGED_PACKAGE_ROOT",
        ],
        "identity of the calling codex session",
    ),
    drop(
        &["CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"],
        "sandbox of the calling codex session",
    ),
    keep(
        &[
            "CODEX_HOME",
            "CODEX_API_KEY",
            "CODEX_ACCESS_TOKEN",
            "CODEX_SQLITE_HOME",
            "CODEX_CA_CERTIFICATE",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "OPENAI_ORG*",
        ],
        "credentials and configuration of codex",
    ),
    // gemini
    drop(
        &[
            "GEMINI_CLI",
            "GEMINI_CLI_NO_RELAUNCH",
            "GEMINI_CLI_WORKTREE_HANDLED",
            "GEMINI_PTY_INFO",
            "SANDBOX",
            "SURFACE",
        ],
        "marks a child of gemini",
    ),
    Rule {
        patterns: &[
            "GIT_CONFIG_GLOBAL",
            "GIT_CONFIG_SYSTEM",
            "GIT_CONFIG_NOSYSTEM",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_KEY_*",
            "GIT_CONFIG_VALUE_*",
            "GIT_ASKPASS",
            "SSH_ASKPASS",
            "GCM_INTERACTIVE",
            "GH_PROMPT_DISABLED",
            "DISPLAY",
            "DBUS_SESSION_BUS_ADDRESS",
        ],
        when: When::Set("GEMINI_CLI", "1"),
        verdict: Verdict::Drop,
        why: "gemini takes git's identity, credentials and hooks away from its tools",
    },
    keep(
        &[
            "GEMINI_API_KEY",
            "GEMINI_CLI_HOME",
            "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
            "GEMINI_CLI_TRUST_WORKSPACE",
        ],
        "credentials and configuration of gemini",
    ),
    // opencode
    drop(&["OPENCODE", "OPENCODE_PID", "OPENCODE_CLIENT"], "marks a child of opencode"),
    keep(&["OPENCODE_CONFIG*"], "configuration of opencode"),
    // Terminals and editors
    drop(
        &[
            "CLAUDE_CODE_SSE_PORT",
            "VSCODE_GIT_*",
            "VSCODE_IPC_*",
            "TERM_PROGRAM*",
            "ZED_TERM",
            "KITTY_WINDOW_ID",
            "TMUX",
            "TMUX_PANE",
            "STY",
            "ZELLIJ*",
            "ITERM_SESSION_ID",
            "CURSOR_TRACE_ID",
            "GEMINI_CLI_IDE_*",
        ],
        "leads to the caller's editor or terminal, which a detached run outlives",
    ),
    // git, npm
    drop(
        &["GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "PAGER", "GH_PAGER"],
        "the calling tool's default; an engine has neither editor nor pager",
    ),
    drop(GIT_LOCAL, "names the repository or commit that a git hook or alias serves"),
    drop(
        &["GIT_INTERNAL_*", "GIT_PUSH_OPTION_*"],
        "names the repository or commit that a git hook or alias serves",
    ),
    keep(
        &[
            "GIT_SSH_COMMAND",
            "GIT_SSL_CAINFO",
            "GIT_TRACE*",
            "SSH_AUTH_SOCK",
            "GH_TOKEN",
            "GITHUB_TOKEN",
        ],
        "access to remote repositories",
    ),
    drop(CLEANERS, "marks what a CI runner ends after its job"),
    drop(&["npm_lifecycle_*"], "names the npm script that called"),
    keep(&["BUN_OPTIONS", "VIRTUAL_ENV", "npm_config_*", "INIT_CWD"], "the user's own tools"),
    // Lattice
    keep(&["LATTICE_SHIM"], "where the supervisor of further runs is"),
    drop(&["LATTICE_*"], "belongs to an outer run"),
];
