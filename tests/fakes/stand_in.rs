//! An agent's command-line tool, as far as it can be seen from outside: it takes the arguments that the real one of
//! its name takes, refuses what that refuses, notes what it was given, and then does what the test wrote down.
//!
//! It is installed as `DIRECTORY/claude`, `…/codex`, `…/gemini` or `…/opencode`. Its steps are the lines of
//! `NAME.steps` beside it, for the fake engine; what it saw goes into `NAME.seen`. The rules are those of engines
//! themselves, and know nothing of the product's table.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, exit};

use fs_err as fs;
use nix::unistd::{Pid, Uid, getpgrp, getsid};
use serde_json::{Value, json};

/// What a tool understands: subcommand, flags without and with a value.
struct Tool {
    name: &'static str,
    subcommand: Option<&'static str>,
    plain: &'static [&'static str],
    valued: &'static [&'static str],
    /// How it says that it does not know an argument, and its exit code then.
    complaint: (&'static str, u8),
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "claude",
        subcommand: None,
        plain: &["-p", "--print", "--verbose", "--dangerously-skip-permissions"],
        valued: &[
            "--output-format",
            "--session-id",
            "--model",
            "--permission-mode",
            "--tools",
            "--allowedTools",
            "--max-turns",
            "--max-budget-usd",
        ],
        complaint: ("error: unknown option '{}'", 1),
    },
    Tool {
        name: "codex",
        subcommand: Some("exec"),
        plain: &[
            "--json",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "-",
        ],
        valued: &["-C", "-m", "-s", "-c", "-o"],
        complaint: ("error: unexpected argument '{}' found", 2),
    },
    Tool {
        name: "gemini",
        subcommand: None,
        plain: &["--skip-trust", "-y", "--yolo"],
        valued: &["--approval-mode", "-o", "-m", "-p"],
        complaint: (
            "Unknown arguments: {}\nUsage: gemini [options] [command]\n\nOptions:\n  --raw-output  a risk if the model is untrusted",
            1,
        ),
    },
    Tool {
        name: "opencode",
        subcommand: Some("run"),
        plain: &["--auto"],
        valued: &["--format", "--dir", "-m"],
        // It does not say it.
        complaint: (
            "opencode run [message..]\n\nOptions:\n  --auto  [boolean] [default: false]",
            1,
        ),
    },
];

/// An exit before anything was done, with the words of the real tool.
struct Refusal(u8, String);

fn main() -> ExitCode {
    match run() {
        Ok(error) => fail(97, &error.to_string()),
        Err(Refusal(code, words)) => fail(code, &words),
    }
}

fn fail(code: u8, words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(code)
}

fn run() -> Result<io::Error, Refusal> {
    let own = env::current_exe().map_err(broken)?;
    let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let tool = TOOLS.iter().find(|tool| tool.name == name).ok_or_else(|| broken(&name))?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(text) = asked(tool, &arguments) {
        print!("{text}");
        exit(0);
    }
    let flags = parse(tool, &arguments)?;
    let directory = own.parent().unwrap_or(Path::new("/"));
    let descriptors = descriptors().map_err(broken)?;
    check(tool, &flags)?;
    let mut prompt = Vec::new();
    io::stdin().read_to_end(&mut prompt).map_err(broken)?;
    note(directory, &name, &arguments, descriptors, &prompt).map_err(broken)?;
    if prompt.is_empty() {
        return Err(Refusal(
            1,
            "Input must be provided either through stdin or as an argument".to_owned(),
        ));
    }
    let steps = fs::read_to_string(directory.join(format!("{name}.steps"))).map_err(broken)?;
    Ok(command(&directory.join("fake-engine")).args(steps.lines()).exec())
}

/// What it answers without a prompt.
fn asked(tool: &Tool, arguments: &[String]) -> Option<String> {
    if arguments == ["--version"] {
        return Some(format!("{} 1.2.3 (stand-in)\n", tool.name));
    }
    let last = arguments.split_last().filter(|(last, _)| *last == "--help")?.1;
    let options = tool.plain.iter().chain(tool.valued).map(|flag| format!("  {flag}\n"));
    let text = format!("Usage: {}\n", tool.name);
    // Above its subcommand it speaks of that alone.
    let is_whole = last.first().map(String::as_str) == tool.subcommand;
    Some(if is_whole { text + &options.collect::<String>() } else { text + "  --version\n" })
}

fn broken(what: impl std::fmt::Display) -> Refusal {
    Refusal(96, format!("stand-in: {what}"))
}

fn parse(tool: &Tool, arguments: &[String]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut flags = BTreeMap::new();
    let mut words = arguments.iter();
    if let Some(subcommand) = tool.subcommand
        && words.next().map(String::as_str) != Some(subcommand)
    {
        return Err(broken("no subcommand"));
    }
    while let Some(word) = words.next() {
        if tool.plain.contains(&word.as_str()) {
            flags.insert(word.clone(), String::new());
        } else if tool.valued.contains(&word.as_str()) {
            let value = words.next().ok_or_else(|| broken("a flag without a value"))?;
            flags.insert(word.clone(), value.clone());
        } else {
            let (words, code) = tool.complaint;
            return Err(Refusal(code, words.replace("{}", word)));
        }
    }
    Ok(flags)
}

/// What each tool insists on.
fn check(tool: &Tool, flags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let has = |flag: &str| flags.contains_key(flag);
    let value = |flag: &str| flags.get(flag).map(String::as_str);
    let refuse = |code, words: &str| Err(Refusal(code, words.to_owned()));
    let here = env::current_dir().map_err(broken)?.display().to_string();
    match tool.name {
        "claude" if value("--output-format") == Some("stream-json") && !has("--verbose") => {
            refuse(1, "When using --print, --output-format=stream-json requires --verbose")
        }
        "claude" if !value("--session-id").is_none_or(is_uuid) => {
            refuse(1, "Error: Invalid session ID. Must be a valid UUID.")
        }
        "claude"
            if (has("--dangerously-skip-permissions")
                || value("--permission-mode") == Some("bypassPermissions"))
                && Uid::effective().is_root()
                && variable("IS_SANDBOX").as_deref() != Some("1") =>
        {
            refuse(
                1,
                "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons",
            )
        }
        "claude"
            if variable("CLAUDE_CODE_SUBPROCESS_ENV_SCRUB").as_deref() == Some("1")
                && !on_path("bwrap") =>
        {
            refuse(1, "CLAUDE_CODE_SUBPROCESS_ENV_SCRUB requires bubblewrap")
        }
        "codex" if !has("-") => refuse(1, "No prompt provided."),
        "codex" if value("-C").is_some_and(|path| path != here) => refuse(1, "not its directory"),
        "gemini" if !has("--skip-trust") && variable("GEMINI_CLI_TRUST_WORKSPACE").is_none() => {
            refuse(55, "Gemini CLI is not running in a trusted directory.")
        }
        "gemini" if variable("GEMINI_CLI_NO_RELAUNCH").is_none() => {
            refuse(1, "it relaunched itself")
        }
        // The real one takes PWD for its directory.
        "opencode"
            if value("--dir").map(str::to_owned).or(variable("PWD")) != Some(here.clone()) =>
        {
            refuse(1, "not its directory")
        }
        _ if variable("PWD").is_some_and(|path| path != here) => {
            refuse(1, "PWD is another directory")
        }
        _ => Ok(()),
    }
}

fn on_path(program: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).exists())
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Written beside and renamed, so that whoever sees it sees all of it.
fn note(
    directory: &Path,
    name: &str,
    arguments: &[String],
    descriptors: Vec<String>,
    prompt: &[u8],
) -> io::Result<()> {
    let group = getpgrp();
    let session = getsid(None).map_err(io::Error::from)?;
    let seen = json!({
        "argv": arguments,
        "cwd": env::current_dir()?.display().to_string(),
        "env": environment(),
        "descriptors": descriptors,
        "leads_its_group": group == Pid::this(),
        "session": session.as_raw(),
        "stdin": fs::read_link("/proc/self/fd/0")?.display().to_string(),
        "prompt": String::from_utf8_lossy(prompt),
    });
    // Several of one name may be asked at once; the steps find theirs by their process.
    fs::write(directory.join(format!("{name}.{}.prompt", std::process::id())), prompt)?;
    let path = directory.join(format!("{name}.seen"));
    let beside = directory.join(format!("{name}.{}.part", std::process::id()));
    fs::write(&beside, seen.to_string())?;
    fs::rename(beside, path)
}

/// The numbers of what is open, but for the listing's own.
fn descriptors() -> io::Result<Vec<String>> {
    let listed: Vec<_> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| fs::read_link(path).is_ok_and(|to| !to.starts_with("/proc")))
        .collect();
    Ok(listed.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
}

#[expect(clippy::disallowed_methods, reason = "a tool reads its environment")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "a tool reads its environment")]
fn environment() -> Value {
    let variables = env::vars_os();
    variables
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into())
        })
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fakes stand outside of the product and its spawn module"
)]
fn command(program: &Path) -> Command {
    Command::new(program)
}
