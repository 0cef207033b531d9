//! Every row of the table, and how a definition bends it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use super::GIT_LOCAL;
use super::rules::{
    Action, DEFAULTS, Rules, Variable, dropped_names, engine_env, explain, inherited, matches,
};
use super::table::TABLE;
use crate::process::spawn;

fn env(variables: &[(&str, &str)]) -> Vec<Variable> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

struct Defined {
    keep: Vec<String>,
    drop: Vec<String>,
    set: BTreeMap<String, String>,
    inherit: bool,
}

impl Defined {
    fn new(keep: &[&str], drop: &[&str], set: &[(&str, &str)]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let set =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { keep: owned(keep), drop: owned(drop), set, inherit: true }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { keep: &self.keep, drop: &self.drop, set: &self.set, inherit: self.inherit }
    }

    /// The environment, without the defaults.
    fn check(&self, caller: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut found = engine_env(&env(caller), &self.rules(), &[]);
        found.retain(|(name, value)| {
            !DEFAULTS.iter().any(|default| (name, value) == (&default.0.into(), &default.1.into()))
        });
        assert_eq!(found, env(expected));
    }
}

fn plain() -> Defined {
    Defined::new(&[], &[], &[])
}

fn handed_on(name: &str, caller: &[(&str, &str)]) -> bool {
    inherited(OsStr::new(name), &env(caller), &plain().rules()).is_keep()
}

/// One line for each row of the findings: a name of the row, and whether it is handed on.
const ROWS: &[(&str, bool)] = &[
    ("CLAUDECODE", false),
    ("CLAUDE_CODE_CHILD_SESSION CLAUDE_CODE_SESSION_ID CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS", false),
    ("CLAUDE_CODE_SESSION_ATTENDED CLAUDE_CODE_SESSION_KIND CLAUDE_CODE_SESSION_ORIGIN", false),
    ("CLAUDE_CODE_CHILD_NOTES_DIR CLAUDE_PID CLAUDE_EFFORT CLAUDE_CODE_EXECPATH", false),
    ("CLAUDE_CODE_INVOKED_SKILLS", false),
    ("CLAUDE_CODE_ENTRYPOINT", false),
    ("CLAUDE_CODE_MESSAGING_SOCKET CLAUDE_CODE_MESSAGING_TOKEN", false),
    (
        "CLAUDE_CODE_SSE_PORT VSCODE_GIT_IPC_HANDLE VSCODE_IPC_HOOK_CLI TERM_PROGRAM TERM_PROGRAM_VERSION",
        false,
    ),
    (
        "ZED_TERM KITTY_WINDOW_ID TMUX TMUX_PANE STY ZELLIJ ZELLIJ_SESSION_NAME ITERM_SESSION_ID",
        false,
    ),
    ("CURSOR_TRACE_ID GEMINI_CLI_IDE_SERVER_PORT", false),
    (
        "CLAUDE_JOB_DIR CLAUDE_BG_ID CLAUDE_CODE_BRIDGE_X CLAUDE_BRIDGE_X CLAUDE_CODE_HOST_WORKTREE",
        false,
    ),
    (
        "CLAUDE_CODE_HOST_CREDS_FILE CLAUDE_CODE_REMOTE CLAUDE_CODE_REMOTE_ID CLAUDE_CODE_RESUME_X",
        false,
    ),
    ("CLAUDE_CODE_RELAUNCH_X CLAUDE_RELAUNCH_X CLAUDE_CODE_WORKER_EPOCH", false),
    ("CLAUDE_CODE_SESSION_ACCESS_TOKEN CLAUDE_CODE_USER_DELEGATED_SESSION", false),
    ("CLAUDE_CODE_COORDINATOR_MODE CLAUDE_CODE_TMUX_PANE CLAUDE_RUNNER_ID CLAUDE_ENV_FILE", false),
    (
        "CLAUDE_PROJECT_DIR CLAUDE_PLUGIN_ROOT CLAUDE_CODE_TASK_LIST_ID CLAUDE_CODE_AGENT_NAME",
        false,
    ),
    ("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", false),
    ("CLAUDE_CODE_GATEWAY_TOKEN_FILE_DESCRIPTOR CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR", false),
    (
        "CLAUDE_CODE_SIMPLE CLAUDE_CODE_SAFE_MODE CLAUDE_CODE_RESTRICTED CLAUDE_CODE_SKIP_PROMPT_HISTORY",
        false,
    ),
    ("CLAUDE_CODE_EVEN_MORE_DANGEROUSLY_SKIP_PERMISSIONS", false),
    ("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB", true),
    ("AI_AGENT AGENT TRACEPARENT TRACESTATE", false),
    ("NoDefaultCurrentDirectoryInExePath COREPACK_ENABLE_AUTO_PIN", true),
    ("GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER PAGER GH_PAGER", false),
    ("ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL ANTHROPIC_CUSTOM_HEADERS", true),
    ("ANTHROPIC_PROFILE ANTHROPIC_CONFIG_DIR ANTHROPIC_FEDERATION_X ANTHROPIC_BEDROCK_X", true),
    ("ANTHROPIC_MODEL ANTHROPIC_DEFAULT_OPUS_MODEL ANTHROPIC_SMALL_FAST_MODEL", true),
    ("CLAUDE_CODE_SUBAGENT_MODEL", true),
    ("CLAUDE_CODE_OAUTH_TOKEN CLAUDE_CODE_OAUTH_REFRESH_TOKEN CLAUDE_CODE_OAUTH_SCOPES", true),
    ("CLAUDE_CODE_OAUTH_CLIENT_ID", true),
    ("CLAUDE_CONFIG_DIR CLAUDE_SECURESTORAGE_CONFIG_DIR", true),
    (
        "CLAUDE_CODE_USE_BEDROCK CLAUDE_CODE_USE_GATEWAY CLAUDE_CODE_SKIP_BEDROCK_AUTH CLOUD_ML_REGION",
        true,
    ),
    ("AWS_REGION GOOGLE_CLOUD_PROJECT", true),
    ("CLAUDE_CODE_MAX_RETRIES CLAUDE_CODE_MAX_OUTPUT_TOKENS CLAUDE_CODE_DISABLE_TELEMETRY", true),
    (
        "BASH_DEFAULT_TIMEOUT_MS API_TIMEOUT_MS DISABLE_TELEMETRY HTTP_PROXY HTTPS_PROXY NO_PROXY",
        true,
    ),
    ("NODE_EXTRA_CA_CERTS IS_SANDBOX", true),
    (
        "CODEX_THREAD_ID CODEX_SESSION_ID CODEX_TOOL_CALL_ID CODEX_CI CODEX_VERSION CODEX_SHELL",
        false,
    ),
    ("CODEX_PERMISSION_PROFILE CODEX_INTERNAL_ORIGINATOR_OVERRIDE CODEX_APPLY_PATCH_X", false),
    ("CODEX_MANAGED_BY_NPM CODEX_MANAGED_PACKAGE_ROOT", false),
    ("CODEX_SANDBOX CODEX_SANDBOX_NETWORK_DISABLED", false),
    ("CODEX_HOME CODEX_API_KEY CODEX_ACCESS_TOKEN CODEX_SQLITE_HOME CODEX_CA_CERTIFICATE", true),
    ("OPENAI_API_KEY OPENAI_BASE_URL OPENAI_ORGANIZATION", true),
    ("GEMINI_CLI GEMINI_CLI_NO_RELAUNCH GEMINI_CLI_WORKTREE_HANDLED GEMINI_PTY_INFO", false),
    ("SANDBOX SURFACE", false),
    (
        "GEMINI_API_KEY GOOGLE_API_KEY GOOGLE_GENAI_USE_VERTEXAI GOOGLE_APPLICATION_CREDENTIALS",
        true,
    ),
    ("GOOGLE_GEMINI_BASE_URL GEMINI_CLI_HOME GEMINI_CLI_SYSTEM_SETTINGS_PATH", true),
    ("GEMINI_CLI_TRUST_WORKSPACE", true),
    ("OPENCODE OPENCODE_PID OPENCODE_CLIENT", false),
    ("RUNNER_TRACKING_ID JENKINS_NODE_COOKIE JENKINS_SERVER_COOKIE HUDSON_SERVER_COOKIE", false),
    ("HUDSON_COOKIE", false),
    ("BUILD_ID", true),
    ("OPENCODE_CONFIG OPENCODE_CONFIG_CONTENT", true),
    ("GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_COMMON_DIR GIT_OBJECT_DIRECTORY", false),
    (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_QUARANTINE_PATH GIT_CONFIG_PARAMETERS",
        false,
    ),
    (
        "GIT_CONFIG GIT_GRAFT_FILE GIT_SHALLOW_FILE GIT_REPLACE_REF_BASE GIT_IMPLICIT_WORK_TREE",
        false,
    ),
    (
        "GIT_NO_REPLACE_OBJECTS GIT_INTERNAL_GETTEXT_SH_SCHEME GIT_REFLOG_ACTION GIT_PUSH_OPTION_0",
        false,
    ),
    ("GIT_EXEC_PATH GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_DATE", false),
    ("GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL", true),
    (
        "GIT_SSH_COMMAND GIT_SSL_CAINFO GIT_TRACE GIT_TRACE_PACKET SSH_AUTH_SOCK GH_TOKEN GITHUB_TOKEN",
        true,
    ),
    ("LATTICE_STARTED_EVENT_ID LATTICE_DEPTH LATTICE_ROOT", false),
    ("LATTICE_SHIM", true),
    ("npm_lifecycle_event npm_lifecycle_script", false),
    ("NODE_OPTIONS BUN_OPTIONS VIRTUAL_ENV npm_config_cache INIT_CWD", true),
    ("PATH HOME LANG CLAUDE_CODE_SOMETHING_NEW CODEX_SOMETHING_NEW", true),
];

#[test]
fn every_row_is_followed() {
    for (names, kept) in ROWS {
        for name in names.split(' ') {
            assert_eq!(handed_on(name, &[]), *kept, "{name}");
        }
    }
}

#[test]
fn every_pattern_of_the_table_is_in_a_row() {
    let gemini = [("GEMINI_CLI", "1")];
    for pattern in TABLE.iter().flat_map(|rule| rule.patterns) {
        let in_rows =
            ROWS.iter().flat_map(|(names, _)| names.split(' ')).any(|name| matches(pattern, name));
        assert!(in_rows || !handed_on(&pattern.replace('*', "0"), &gemini), "{pattern}");
    }
}

#[test]
fn what_gemini_takes_from_git_goes_only_below_gemini() {
    let names = "GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_NOSYSTEM GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 \
                 GIT_CONFIG_VALUE_0 GIT_ASKPASS SSH_ASKPASS GCM_INTERACTIVE GH_PROMPT_DISABLED DISPLAY \
                 DBUS_SESSION_BUS_ADDRESS";
    for name in names.split_whitespace() {
        assert!(handed_on(name, &[("GEMINI_CLI", "0")]), "{name}");
        assert!(!handed_on(name, &[("GEMINI_CLI", "1")]), "{name}");
    }
}

#[test]
fn everything_git_calls_local_is_dropped_but_one() {
    let mut git = spawn::command("git");
    let output = git
        .args(["rev-parse", "--local-env-vars"])
        .stdout(std::process::Stdio::piped())
        .output()
        .unwrap();
    for name in
        String::from_utf8(output.stdout).unwrap().lines().filter(|name| *name != "GIT_CONFIG_COUNT")
    {
        assert!(GIT_LOCAL.contains(&name), "{name}");
    }
}

#[test]
fn codex_directories_leave_the_path() {
    let caller = [("PATH", "/home/u/.codex/tmp/arg0/codex-arg0Ab:/usr/bin::/opt/codex-path:/bin")];
    plain().check(&caller, &[("PATH", "/usr/bin::/bin")]);
    let caller = [("CODEX_HOME", "/c"), ("PATH", "/c/tmp/arg0/x:/c/bin:/usr/codex-path-tools")];
    plain().check(&caller, &[("CODEX_HOME", "/c"), ("PATH", "/c/bin:/usr/codex-path-tools")]);
}

#[test]
fn debug_ports_leave_the_options_of_node() {
    let options = "--max-old-space-size=4096 --inspect-brk=0 --require \"./a  b.js\" --inspect";
    let caller = [("NODE_OPTIONS", options)];
    plain()
        .check(&caller, &[("NODE_OPTIONS", "--max-old-space-size=4096 --require \"./a  b.js\"")]);
    plain().check(&[("NODE_OPTIONS", "--inspect")], &[]);
}

#[test]
fn a_definition_keeps_drops_and_sets() {
    let defined = Defined::new(
        &["TMUX", "AWS_REGION"],
        &["AWS_*", "SECRET"],
        &[("A", "1"), ("LATTICE_ROOT", "x")],
    );
    let caller = [
        ("A", "0"),
        ("AWS_KEY", "k"),
        ("AWS_REGION", "r"),
        ("SECRET", "s"),
        ("TMUX", "t"),
        ("STY", "s"),
    ];
    defined.check(&caller, &[("A", "1"), ("AWS_REGION", "r"), ("TMUX", "t")]);
    assert_eq!(dropped_names(&env(&caller), &defined.rules()), ["AWS_KEY", "SECRET", "STY"]);
}

#[test]
fn without_inheritance_only_what_is_listed_comes_through() {
    let mut defined = Defined::new(&["PATH", "LC_*"], &[], &[("A", "1")]);
    defined.inherit = false;
    let caller = [("HOME", "/h"), ("LC_ALL", "C"), ("PATH", "/bin")];
    defined.check(&caller, &[("A", "1"), ("LC_ALL", "C"), ("PATH", "/bin")]);
    assert_eq!(dropped_names(&env(&caller), &defined.rules()), ["HOME"]);
}

#[test]
fn the_run_replaces_an_outer_one() {
    let caller = env(&[
        ("LATTICE_DEPTH", "1"),
        ("LATTICE_WORKTREE", "/outer"),
        ("TMPDIR", "/tmp"),
        ("STY", "1"),
    ]);
    let added = [("LATTICE_DEPTH".to_owned(), "2".into()), ("TMPDIR".to_owned(), "/run".into())];
    let found = engine_env(&caller, &plain().rules(), &added);
    let expected = [
        ("GIT_EDITOR", "true"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LATTICE_DEPTH", "2"),
        ("TMPDIR", "/run"),
    ];
    assert_eq!(found, env(&expected));
    assert_eq!(dropped_names(&caller, &plain().rules()), ["STY"]);
}

#[test]
fn names_that_are_not_text_are_handed_on() {
    let odd = OsString::from_vec(vec![0xff]);
    let caller = [(odd.clone(), "x".into())];
    assert!(engine_env(&caller, &plain().rules(), &[]).contains(&(odd, "x".into())));
}

#[test]
fn an_explanation_names_every_variable() {
    let defined = Defined::new(&["GIT_EDITOR"], &["B"], &[("C", "1")]);
    let caller = env(&[("A", ""), ("B", ""), ("C", ""), ("GIT_EDITOR", "vi"), ("TMUX", "")]);
    let added = [("LATTICE_DEPTH", "the run sets it")];
    let expected = [
        ("A", Action::Keep("no rule concerns it")),
        ("B", Action::Drop("the definition drops it")),
        ("C", Action::Set("the definition sets it")),
        ("GIT_EDITOR", Action::Keep("the definition keeps it")),
        ("GIT_TERMINAL_PROMPT", Action::Set("nobody sits at an engine's terminal")),
        ("LATTICE_DEPTH", Action::Set("the run sets it")),
    ];
    let mut found = explain(&caller, &defined.rules(), &added);
    assert!(matches!(found.pop(), Some((name, Action::Drop(why)))
        if name == "TMUX" && why.contains("terminal")));
    found.retain(|(name, _)| !name.starts_with("GIT_CONFIG_"));
    assert_eq!(found, expected.map(|(name, action)| (name.to_owned(), action)));
}

#[test]
fn settings_of_git_are_told_apart_from_the_callers() {
    let caller = env(&[
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]);
    let found = explain(&caller, &plain().rules(), &[]);
    let is_kept: Vec<(&str, bool)> = found
        .iter()
        .filter(|(name, _)| name.starts_with("GIT_CONFIG_"))
        .map(|(name, action)| (name.trim_start_matches("GIT_CONFIG_"), action.is_keep()))
        .collect();
    let expected = ["COUNT", "KEY_0", "KEY_1", "KEY_2", "VALUE_0", "VALUE_1", "VALUE_2"];
    assert_eq!(is_kept, expected.map(|name| (name, name.ends_with('0'))));
}

#[test]
fn what_is_taken_out_of_a_value_is_explained() {
    let caller = env(&[("NODE_OPTIONS", "--inspect"), ("PATH", "/opt/codex-path:/bin")]);
    let found = explain(&caller, &plain().rules(), &[]);
    let of = |name: &str| found.iter().find(|(found, _)| found == name).map(|(_, action)| *action);
    assert!(matches!(of("NODE_OPTIONS"), Some(Action::Drop(why)) if why.contains("debug port")));
    assert!(matches!(of("PATH"), Some(Action::Keep(why)) if why.contains("codex")));
}
