//! An agent's program: which version it is, whether it knows our flags, whether it may be signed in.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::line::Line;
use super::machine::first_line;
use crate::model::definition::{CommandLine, Definition};
use crate::model::engine::argv;
use crate::model::engine::preset::{Preset, Word};
use crate::process::env;
use crate::process::helper::Helpers;
use crate::process::spawn;
use crate::runs::context::Context;
use crate::runs::surroundings;

/// Agents are slow to start, and some tidy up first.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program has told already: several workers have the same.
#[derive(Debug, Default)]
pub(super) struct Told {
    versions: HashMap<PathBuf, Result<String, String>>,
    helps: HashMap<PathBuf, Option<String>>,
}

/// An agent as a definition starts it.
pub(super) struct Agent<'a> {
    pub(super) ctx: &'a Context,
    pub(super) preset: &'a Preset,
    pub(super) definition: &'a Definition,
    pub(super) path: PathBuf,
    pub(super) env: Vec<(OsString, OsString)>,
}

impl<'a> Agent<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        preset: &'a Preset,
        definition: &'a Definition,
        path: PathBuf,
    ) -> Self {
        let added: Vec<(String, OsString)> = preset
            .env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect();
        let rules = surroundings::rules_of(definition);
        let env = env::engine_env(&ctx.caller_env, &rules, &added);
        Self { ctx, preset, definition, path, env }
    }

    pub(super) fn lines(&self, told: &mut Told, helpers: &mut dyn Helpers) -> Vec<Line> {
        let version = told
            .versions
            .entry(self.path.clone())
            .or_insert_with(|| first_line(helpers, self.command(), PATIENCE));
        let path = self.path.display();
        let mut lines = vec![match version {
            Ok(version) => Line::fine("program", format!("{path}, {version}")),
            Err(why) => Line::unknown("program", format!("{path} {why}")),
        }];
        lines.extend(self.flags(told, helpers));
        lines.push(self.login());
        lines.extend(self.doubts());
        lines
    }

    /// In the engine's own surroundings, as far as there are any without a run.
    fn command(&self) -> Command {
        let mut command = spawn::command(&self.path);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.ctx.layout.root);
        command
    }

    /// Every flag of ours that its help does not name. One of a definition's own may be a hidden one.
    fn flags(&self, told: &mut Told, helpers: &mut dyn Helpers) -> Vec<Line> {
        // Of a program in front of the agent, such as docker, the help says nothing.
        if matches!(&self.definition.command, Some(CommandLine::Argv(words)) if words.len() > 1) {
            return Vec::new();
        }
        let (ours, given) = argv::flags(self.preset, self.definition);
        let help = told.helps.entry(self.path.clone()).or_insert_with(|| self.help(helpers));
        let Some(help) = help else {
            return vec![Line::unknown("flags", "its --help says nothing of them")];
        };
        let words: Vec<&str> =
            help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
        let knows = |flag: &&str| words.contains(flag);
        let mut lines: Vec<Line> = Vec::new();
        let missing: Vec<&str> = ours.iter().copied().filter(|flag| !knows(flag)).collect();
        if !missing.is_empty() {
            let says = format!("its --help does not know {}", missing.join(", "));
            lines.push(Line::stops(
                "flags",
                says,
                "install a version that does, or update lattice",
            ));
        }
        let odd: Vec<&str> = given.iter().copied().filter(|flag| !knows(flag)).collect();
        if !odd.is_empty() {
            let says = format!("its --help does not know {}, of `args`", odd.join(", "));
            lines.push(Line::doubtful("flags", says, "correct `args`, unless it is a hidden flag"));
        }
        if lines.is_empty() {
            lines.push(Line::fine("flags", format!("{} known", ours.len() + given.len())));
        }
        lines
    }

    fn help(&self, helpers: &mut dyn Helpers) -> Option<String> {
        let mut command = self.command();
        // The flags are those of its subcommand, where it has one.
        if let Some(Word::Plain(word)) = self.preset.words.first()
            && !word.starts_with('-')
        {
            command.arg(word);
        }
        command.arg("--help");
        let output = helpers.run(command, None, PATIENCE).ok()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Some print it on the other stream.
        text += &String::from_utf8_lossy(&output.stderr);
        (output.success() && text.contains("--")).then_some(text)
    }

    /// That something is there, and never what.
    fn login(&self) -> Line {
        let credentials = &self.preset.credentials;
        let set = credentials
            .variables
            .iter()
            .find(|name| self.value(name).is_some_and(|value| !value.is_empty()));
        if let Some(name) = set {
            return Line::fine("login", format!("{name} is set"));
        }
        let files =
            credentials.files.iter().filter_map(|login| login.find(|name| self.value(name)));
        match files.into_iter().find(|path| path.is_file()) {
            Some(path) => Line::fine("login", format!("{} is there", path.display())),
            None => Line::doubtful(
                "login",
                "none is seen; it may have one elsewhere",
                self.preset.login,
            ),
        }
    }

    fn doubts(&self) -> impl Iterator<Item = Line> {
        let holds = |variable, value| self.value(variable).is_some_and(|given| given == value);
        let doubts =
            self.preset.doubts.iter().filter(move |doubt| holds(doubt.variable, doubt.value));
        doubts.map(|doubt| Line::doubtful("surroundings", doubt.message, doubt.hint))
    }

    fn value(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }
}
