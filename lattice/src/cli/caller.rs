//! What the calling process is: its environment, its directory, its terminals. Read once, by `main`.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::RunId;

#[derive(Debug)]
pub(crate) struct Caller {
    env: Vec<(OsString, OsString)>,
    cwd: io::Result<PathBuf>,
    pub(crate) stdin_is_tty: bool,
    pub(crate) stdout_is_tty: bool,
    pub(crate) stderr_is_tty: bool,
}

impl Caller {
    pub(crate) fn new(env: Vec<(OsString, OsString)>, cwd: io::Result<PathBuf>) -> Self {
        let stdin_is_tty = io::stdin().is_terminal();
        let stdout_is_tty = io::stdout().is_terminal();
        let stderr_is_tty = io::stderr().is_terminal();
        Self { env, cwd, stdin_is_tty, stdout_is_tty, stderr_is_tty }
    }

    pub(crate) fn env(&self) -> &[(OsString, OsString)] {
        &self.env
    }

    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// A variable that is set to something, and to text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.var(name).and_then(OsStr::to_str).filter(|text| !text.is_empty())
    }

    pub(crate) fn cwd(&self) -> Result<&Path> {
        self.cwd.as_deref().map_err(|error| {
            Failure::new(Code::IoError, format!("the current directory cannot be used: {error}"))
                .hint("cd to a directory that exists")
        })
    }

    /// The run that this process is part of: set for the engine and everything that it starts.
    pub(crate) fn own_run(&self) -> Option<RunId> {
        self.text("LATTICE_STARTED_EVENT_ID").and_then(RunId::parse)
    }

    /// The run that this process speaks for. A hook is part of the run that wrote its event, but it speaks for
    /// whoever configured it.
    pub(crate) fn worker_run(&self) -> Option<RunId> {
        let in_hook =
            self.var("LATTICE_EVENT_ID").is_some() || self.var("LATTICE_EVENT_TYPE").is_some();
        if in_hook { None } else { self.own_run() }
    }

    /// Whether somebody sits at a terminal that can draw a line over again.
    pub(crate) fn watches_stderr(&self) -> bool {
        self.stderr_is_tty && self.text("TERM") != Some("dumb")
    }

    /// Whether a stream gets colour. <https://no-color.org>: any value but the empty one turns it off.
    /// <https://bixense.com/clicolors>: `CLICOLOR_FORCE` turns it on, in a pipe too.
    pub(crate) fn wants_colour(&self, is_tty: bool) -> bool {
        if self.text("NO_COLOR").is_some() {
            return false;
        }
        let is_forced = self.text("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let is_off = self.text("CLICOLOR") == Some("0") || self.text("TERM") == Some("dumb");
        is_forced || is_tty && !is_off
    }
}
