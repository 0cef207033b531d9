//! Agents' hooks and tool calls as callers: they wait for the end of output, end groups and sessions, and mark what
//! they start.

use serde_json::json;

use crate::harness::agent::Command;
use crate::harness::call::Call;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::SOON;
use crate::run_callers::{assert_goes_on, curious, dumped};

const START: &str = "lattice worker run Curious LAT-1 --json";

/// What each caller was seen to export. Nothing of it may reach the engine, but for what is listed behind it.
struct Caller {
    exports: &'static [(&'static str, &'static str)],
    stays: &'static [&'static str],
}

const CLAUDE: Caller = Caller {
    exports: &[
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_ENTRYPOINT", "claude-vscode"),
        ("CLAUDE_CODE_CHILD_SESSION", "1"),
        ("CLAUDE_CODE_SESSION_ID", "5f3c8f0e-1111-4222-8333-444455556666"),
        ("CLAUDE_CODE_MESSAGING_SOCKET", "/tmp/cc-socks/1"),
        ("CLAUDE_CODE_MESSAGING_TOKEN", "secret-of-the-parent"),
        ("CLAUDE_PROJECT_DIR", "/nowhere"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat-1"),
        ("CLAUDE_CONFIG_DIR", "/home/ana/.claude-work"),
        ("AI_AGENT", "claude-code_harness"),
        ("TRACEPARENT", "00-1-2-01"),
        ("GIT_EDITOR", "true"),
    ],
    stays: &["CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR", "GIT_EDITOR"],
};

const CODEX: Caller = Caller {
    exports: &[
        ("CODEX_MANAGED_BY_NPM", "1"),
        ("CODEX_MANAGED_PACKAGE_ROOT", "/usr/lib/node_modules/@openai/codex"),
        ("CODEX_THREAD_ID", "0199a213"),
        ("CODEX_CI", "1"),
        ("CODEX_HOME", "/home/ana/.codex"),
        ("PAGER", "cat"),
        ("GIT_PAGER", "cat"),
    ],
    stays: &["CODEX_HOME"],
};

const GEMINI: Caller = Caller {
    exports: &[
        ("GEMINI_CLI", "1"),
        ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_COUNT", "3"),
        ("GIT_CONFIG_KEY_0", "credential.helper"),
        ("GIT_CONFIG_VALUE_0", ""),
        ("GIT_CONFIG_KEY_1", "core.hooksPath"),
        ("GIT_CONFIG_VALUE_1", "/dev/null"),
        ("GIT_CONFIG_KEY_2", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_2", "false"),
        ("GIT_ASKPASS", ""),
        ("DISPLAY", ""),
        ("PAGER", "cat"),
    ],
    stays: &[],
};

const OPENCODE: Caller = Caller {
    exports: &[("OPENCODE", "1"), ("OPENCODE_PID", "7"), ("AGENT", "1"), ("OPENCODE_CONFIG", "/c")],
    stays: &["OPENCODE_CONFIG"],
};

impl Caller {
    fn shell(&self, sandbox: &Sandbox, script: &str) -> Call {
        let call = sandbox.program(["bash", "-c", script]);
        self.exports.iter().fold(call, |call, (name, value)| call.env(name, *value))
    }

    #[track_caller]
    fn assert_left_behind(&self, sandbox: &Sandbox) {
        let environment = dumped(sandbox, "env");
        for (name, value) in self.exports {
            let there = environment.lines().any(|line| line == format!("{name}={value}"));
            assert_eq!(there, self.stays.contains(name), "{name}: {environment}");
        }
    }
}

fn told(sandbox: &Sandbox, event: &str) -> serde_json::Value {
    json!({"session_id": "s", "cwd": sandbox.project, "hook_event_name": event, "tool_name": "Bash",
           "tool_input": {"command": "x".repeat(100_000)}})
}

/// The hook is over while the engine works, and the engine has nothing of it.
#[track_caller]
fn a_hook_is_not_kept(caller: &Caller) {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let hook = Command::start(caller.shell(&sandbox, START), &told(&sandbox, "PostToolUse"));
    let (code, stdout, stderr) = hook.ended();
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let answer: serde_json::Value = serde_json::from_str(&stdout).expect(&stdout);
    assert_goes_on(&sandbox, &sandbox.run_of(&answer["data"]));
    caller.assert_left_behind(&sandbox);
}

#[test]
fn a_hook_of_claude() {
    a_hook_is_not_kept(&CLAUDE);
}

/// They run outside of its sandbox.
#[test]
fn a_hook_of_codex() {
    a_hook_is_not_kept(&CODEX);
}

#[test]
fn a_hook_of_gemini() {
    a_hook_is_not_kept(&GEMINI);
}

#[test]
fn a_hook_of_opencode() {
    a_hook_is_not_kept(&OPENCODE);
}

/// Codex puts directories on the PATH that it deletes when it exits.
#[test]
fn the_path_of_codex_is_not_the_engines() {
    let sandbox = Sandbox::new();
    curious(&sandbox);
    let script = format!("PATH=$HOME/.codex/tmp/arg0/codex-arg0Ab:/opt/codex-path:$PATH {START}");
    let hook = Command::start(CODEX.shell(&sandbox, &script), &json!({}));
    let answer: serde_json::Value = serde_json::from_str(&hook.ended().1).unwrap();
    assert_goes_on(&sandbox, &sandbox.run_of(&answer["data"]));
    let environment = dumped(&sandbox, "env");
    let path = environment.lines().find(|line| line.starts_with("PATH=")).unwrap();
    assert!(!path.contains("codex"), "{path}");
}

/// Starts the worker and then hangs; the run is known by the time that this is given back.
fn hanging<'a>(sandbox: &'a Sandbox, caller: &Caller, script: &str) -> (Command, Run<'a>) {
    curious(sandbox);
    let hang = sandbox.fake_line(&["connect=shell", "wait"]);
    let script = script.replace("START", &format!("{START} > ../answer")).replace("HANG", &hang);
    let command = Command::start(caller.shell(sandbox, &script), &told(sandbox, "Stop"));
    sandbox.socket.peer("shell");
    let answer: serde_json::Value = serde_json::from_str(&dumped(sandbox, "answer")).unwrap();
    let run = sandbox.run_of(&answer["data"]);
    (command, run)
}

/// Its time was up: the agent ends the hook's group.
#[test]
fn a_hook_that_is_killed_takes_no_run_with_it() {
    let sandbox = Sandbox::new();
    let (hook, run) = hanging(&sandbox, &CLAUDE, "START; exec HANG");
    hook.kill_group();
    hook.gone();
    assert_goes_on(&sandbox, &run);
}

/// The shell of a tool's call, and what it left in the background, are killed by group and by session.
#[test]
fn a_tools_call_that_is_killed_takes_no_run_with_it() {
    for caller in [&CLAUDE, &CODEX, &GEMINI, &OPENCODE] {
        let sandbox = Sandbox::new();
        let (tool, run) = hanging(&sandbox, caller, "set -m; (START; exec HANG) & wait");
        tool.kill_session();
        tool.gone();
        assert_goes_on(&sandbox, &run);
        caller.assert_left_behind(&sandbox);
    }
}

/// Gemini's shells have a terminal of their own, which hangs up when the call is over.
#[test]
fn a_tools_terminal_that_hangs_up_takes_no_run_with_it() {
    let sandbox = Sandbox::new();
    let (terminal, run) = {
        curious(&sandbox);
        let hang = sandbox.fake_line(&["connect=shell", "wait"]);
        let script = format!("{START} > ../answer; exec {hang}");
        let call = GEMINI.shell(&sandbox, "exec script -qec \"$SCRIPT\" /dev/null");
        let terminal = call.env("SCRIPT", script).env("SHELL", "/bin/sh").start();
        let shell = sandbox.socket.peer("shell");
        let answer: serde_json::Value = serde_json::from_str(&dumped(&sandbox, "answer")).unwrap();
        // Without the one who holds its other end.
        terminal.process().kill();
        shell.wait_dead(SOON);
        (terminal, sandbox.run_of(&answer["data"]))
    };
    drop(terminal);
    assert_goes_on(&sandbox, &run);
    GEMINI.assert_left_behind(&sandbox);
}

/// Gemini hides the user's configuration of git from its tools. Without it a commit has no author, and neither has one
/// that a hook makes when the run has ended.
#[test]
fn a_worker_of_gemini_and_its_hooks_see_the_users_git() {
    let sandbox = Sandbox::new();
    sandbox.sh("git config --unset user.name; git config --unset user.email; \
         git config --global user.name Bo; git config --global user.email bo@example.org");
    let command =
        "echo made > made && git add made && git commit -q -m Made && git log -1 --format=%an";
    let told = sandbox.base.join("told").display().to_string();
    let hook = format!("git config user.name > {told}");
    sandbox.configure("hooks", json!({"on": {"process_completed": hook}}));
    for (keep, expected) in [(json!([]), "Bo\n"), (json!(["GIT_CONFIG_*"]), "")] {
        sandbox
            .worker("Work", json!({"command": command, "worktree": true, "env": {"keep": keep}}));
        let script = "lattice worker run Work LAT-1 --json";
        let (_, stdout, _) = Command::start(GEMINI.shell(&sandbox, script), &json!({})).ended();
        let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let run = sandbox.run_of(&answer["data"]);
        let end = run.ended();
        sandbox.assert_clean();
        // What a definition keeps is kept, though it is gemini's.
        assert_eq!(end["type"] == "process_completed", !expected.is_empty(), "{end}");
        if !expected.is_empty() {
            assert_eq!(run.log(), expected);
            assert_eq!(dumped(&sandbox, "told"), expected);
        }
    }
}
