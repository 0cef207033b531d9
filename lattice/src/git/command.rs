//! How git is called: never with hooks, prompts, maintenance or somebody else's repository variables.
//! Knows nothing of runs.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::model::failure::{Code, Failure, Result};
use crate::process::env::GIT_LOCAL;
use crate::process::helper::{HelperOutput, Helpers};
use crate::process::spawn;

/// The longest that one git process may take.
pub const LIMIT: Duration = Duration::from_mins(10);

const CONFIG: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // What is saved must be on the disk before the worktree that it came from is deleted.
    "core.fsync=all",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "advice.addEmbeddedRepo=false",
];

/// Variables that change what a path argument means.
const PATHSPEC_MODES: &[&str] =
    &["GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"];

/// Ours, by which a commit of ours is known.
pub(super) const EMAIL: &str = "lattice@localhost";

const IDENTITY: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "lattice"),
    ("GIT_AUTHOR_EMAIL", EMAIL),
    ("GIT_COMMITTER_NAME", "lattice"),
    ("GIT_COMMITTER_EMAIL", EMAIL),
];

/// `git -C DIRECTORY`, to which the caller adds a subcommand.
///
/// Git finds the repository by itself and so applies its own ownership check (`safe.directory`).
pub fn git(directory: &Path) -> Command {
    let mut command = spawn::command("git");
    for name in GIT_LOCAL.iter().chain(PATHSPEC_MODES) {
        command.env_remove(name);
    }
    command.envs(IDENTITY.iter().copied()).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
    command.arg("-C").arg(directory);
    for setting in CONFIG {
        command.arg("-c").arg(setting);
    }
    command
}

/// Runs git and gives what it left, whatever its exit status; only a git that could not run to its end is an error.
pub fn run(
    h: &mut dyn Helpers,
    command: Command,
    stdin: Option<Vec<u8>>,
    doing: &str,
) -> Result<HelperOutput> {
    run_within(h, command, stdin, doing, LIMIT)
}

/// [`run`] with a limit for somebody who does not want to wait so long.
pub fn run_within(
    h: &mut dyn Helpers,
    command: Command,
    stdin: Option<Vec<u8>>,
    doing: &str,
    limit: Duration,
) -> Result<HelperOutput> {
    let output = h.run(command, stdin, limit).map_err(|error| not_started(doing, &error))?;
    if output.timed_out {
        let message = format!("{doing}: git took longer than {} s and was ended", limit.as_secs());
        return Err(Failure::new(Code::GitError, message));
    }
    match output.signal {
        Some(signal) => {
            Err(Failure::new(Code::GitError, format!("{doing}: git was ended by signal {signal}")))
        }
        None => Ok(output),
    }
}

/// Runs git and gives its standard output; any other exit status than 0 is an error.
pub fn checked(
    h: &mut dyn Helpers,
    command: Command,
    stdin: Option<Vec<u8>>,
    doing: &str,
) -> Result<Vec<u8>> {
    let output = run(h, command, stdin, doing)?;
    if output.success() { Ok(output.stdout) } else { Err(refused(doing, &output)) }
}

/// Git's own words as a failure, with git's own remedy where it names one.
pub fn refused(doing: &str, output: &HelperOutput) -> Failure {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let failure =
        Failure::new(Code::GitError, format!("{doing}: {}", reason(&stderr, output.code)));
    match stderr.lines().map(str::trim).find(|line| line.starts_with("git config ")) {
        Some(remedy) => failure.hint(remedy),
        None => failure,
    }
}

/// The line of git's standard error that says why, bounded.
fn reason(stderr: &str, code: Option<i32>) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines()
        .find_map(|line| line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")))
        .or_else(|| lines().next_back());
    match (line, code) {
        (Some(line), _) => line.chars().take(300).collect(),
        (None, Some(code)) => format!("git exited {code}"),
        (None, None) => "git failed".to_owned(),
    }
}

fn not_started(doing: &str, error: &io::Error) -> Failure {
    let failure =
        Failure::new(Code::GitError, format!("{doing}: git could not be started: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => failure.hint("install git and put it on PATH"),
        _ => failure,
    }
}
