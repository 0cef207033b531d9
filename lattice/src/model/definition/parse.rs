//! From bytes to a checked definition, with every problem named at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::keys::{
    ENGINES, ENV_KEYS, KEYS, LEAST_OPEN_FILES, LIMIT_KEYS, LONGEST_NAME, MOST_NICE, ON_CHANGES,
    REPORT_FROM, SANDBOXES,
};
use super::nearest::nearest;
use super::reader::{Reader, kind};
use super::types::{
    CommandLine, Definition, EngineKind, EnvRules, Limits, OnChanges, Problem, ReportFrom, Sandbox,
};
use crate::model::actor;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
const DEFAULT_SETUP_TIMEOUT: Duration = Duration::from_mins(5);
const DEFAULT_RESULT_GRACE: Duration = Duration::from_secs(15);
const DEFAULT_ACTOR: &str = "agent:worker";

/// A definition, or everything that is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Definition, Vec<Problem>> {
    let map = match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => map,
        Ok(other) => {
            return Err(vec![Problem::new(
                "file",
                format!("must be a JSON object, not {}", kind(&other)),
            )]);
        }
        Err(error) => return Err(vec![Problem::new("file", format!("is not JSON: {error}"))]),
    };
    let mut problems = Vec::new();
    let mut reader = Reader::new(map, "", &mut problems);
    let definition = read(&mut reader);
    reader.finish(KEYS);
    if problems.is_empty() { Ok(definition) } else { Err(problems) }
}

fn read(reader: &mut Reader<'_>) -> Definition {
    let engine = engine(reader);
    let worktree = reader.flag("worktree", false);
    let definition = Definition {
        name: name(reader),
        description: reader.text("description").unwrap_or_default(),
        actor: actor_name(reader),
        engine,
        command: command(reader, engine),
        worktree,
        timeout: reader.minutes("timeout_minutes").unwrap_or(DEFAULT_TIMEOUT),
        result_grace: reader.seconds("result_grace_seconds").unwrap_or(DEFAULT_RESULT_GRACE),
        idle_timeout: reader.minutes("idle_timeout_minutes"),
        grace: reader.seconds("grace_seconds"),
        setup: reader.texts("setup"),
        setup_timeout: reader.minutes("setup_timeout_minutes").unwrap_or(DEFAULT_SETUP_TIMEOUT),
        copy: carried(reader, "copy", worktree),
        link: carried(reader, "link", worktree),
        env: env(reader),
        prompt_file: reader.path("prompt_file"),
        model: reader.text("model"),
        args: reader.texts("args"),
        artifact_role: reader.text("artifact_role"),
        report_prefix: reader.text("report_prefix"),
        report_dir: reader.path("report_dir"),
        report_from: report_from(reader, engine),
        on_changes: on_changes(reader),
        log_tail: reader.flag("log_tail", true),
        limits: limits(reader),
        nice: nice(reader),
        sandbox: sandbox(reader, worktree),
        sandbox_write: places(reader, "sandbox_write"),
        sandbox_required: reader.flag("sandbox_required", true),
        submodules: reader.flag("submodules", false),
    };
    if engine != EngineKind::Script && definition.prompt_file.is_none() {
        reader.problem("prompt_file", format!("is missing, and {} needs one", engine.name()));
    }
    if let Some(path) = definition.link.iter().find(|path| overlaps(path, &definition.copy)) {
        reader.problem("link", format!("{} is in `copy` already", path.display()));
    }
    definition
}

fn name(reader: &mut Reader<'_>) -> String {
    let before = reader.problems.len();
    let Some(name) = reader.text("name") else {
        if reader.problems.len() == before {
            reader.problem("name", "is missing");
        }
        return String::new();
    };
    if name.chars().count() > LONGEST_NAME {
        reader.problem("name", format!("must not be longer than {LONGEST_NAME} characters"));
    }
    if name.contains('/') || name.chars().any(char::is_control) {
        reader.problem("name", "must not contain a slash or a control character");
    }
    if name.trim() != name {
        reader.problem("name", "must not begin or end with a blank");
    }
    name
}

fn actor_name(reader: &mut Reader<'_>) -> String {
    let name = reader.text("actor").unwrap_or_else(|| DEFAULT_ACTOR.to_owned());
    if let Err(failure) = actor::validate(&name) {
        reader.problem("actor", failure.message());
    }
    name
}

fn engine(reader: &mut Reader<'_>) -> EngineKind {
    let Some(name) = reader.word("engine") else { return EngineKind::Script };
    EngineKind::parse(&name).unwrap_or_else(|| {
        let meant = nearest(&name, &ENGINES).expect("there are engines");
        reader.problem("engine", format!("{name:?} is not an engine (did you mean {meant:?}?)"));
        EngineKind::Script
    })
}

fn command(reader: &mut Reader<'_>, engine: EngineKind) -> Option<CommandLine> {
    let before = reader.problems.len();
    let command = match reader.value("command") {
        None => None,
        Some(Value::String(text)) => {
            Some(text).filter(|text| !text.trim().is_empty()).map(CommandLine::Shell)
        }
        Some(Value::Array(items)) => argv(reader, items),
        Some(other) => {
            reader.problem(
                "command",
                format!("must be a string or an array of strings, not {}", kind(&other)),
            );
            None
        }
    };
    if let Some(CommandLine::Shell(text)) = &command
        && text.contains('\0')
    {
        reader.problem("command", "must not contain a NUL character");
    }
    if command.is_none() && engine == EngineKind::Script && reader.problems.len() == before {
        reader.problem("command", "is missing, and a script needs one");
    }
    command
}

/// A program with a slash that does not begin with one is a file of the project; without a slash it is found by PATH.
fn argv(reader: &mut Reader<'_>, items: Vec<Value>) -> Option<CommandLine> {
    let words = reader.strings("command", items);
    let program = words.first()?;
    if program.is_empty() {
        reader.problem("command", "must begin with a program");
    } else if program.contains('/') && !program.starts_with('/') {
        reader.checked_path("command", program)?;
    }
    Some(CommandLine::Argv(words))
}

/// Paths to bring into the worktree. Git's own directory there is a file, and not to be replaced.
fn carried(reader: &mut Reader<'_>, key: &str, worktree: bool) -> Vec<PathBuf> {
    let paths = reader.paths(key);
    if !paths.is_empty() && !worktree {
        reader.problem(key, "needs \"worktree\": true");
    }
    if paths.iter().any(|path| path.starts_with(".git")) {
        reader.problem(key, "must not name anything in `.git`");
    }
    paths
}

fn sandbox(reader: &mut Reader<'_>, worktree: bool) -> Sandbox {
    if reader.one_of("sandbox", SANDBOXES) != Some("worktree") {
        return Sandbox::None;
    }
    if !worktree {
        reader.problem("sandbox", "needs \"worktree\": true");
    }
    Sandbox::Worktree
}

/// Unlike the others these may be outside of the project.
fn places(reader: &mut Reader<'_>, key: &str) -> Vec<PathBuf> {
    let texts = reader.texts(key);
    let mut place = |text: &String| match Path::new(text) {
        path if path.is_absolute() => Some(path.to_owned()),
        _ => reader.checked_path(key, text),
    };
    texts.iter().filter_map(&mut place).collect()
}

fn overlaps(path: &Path, others: &[PathBuf]) -> bool {
    others.iter().any(|other| path.starts_with(other) || other.starts_with(path))
}

fn on_changes(reader: &mut Reader<'_>) -> OnChanges {
    match reader.one_of("on_changes", ON_CHANGES) {
        Some("discard") => OnChanges::Discard,
        _ => OnChanges::Keep,
    }
}

fn report_from(reader: &mut Reader<'_>, engine: EngineKind) -> ReportFrom {
    match reader.one_of("report_from", REPORT_FROM) {
        Some("final_message") if engine == EngineKind::Script => {
            reader.problem("report_from", "needs an engine that has messages, not a script");
            ReportFrom::File
        }
        Some("final_message") => ReportFrom::FinalMessage,
        _ => ReportFrom::File,
    }
}

fn env(reader: &mut Reader<'_>) -> EnvRules {
    let map = reader.object("env");
    let mut inner = Reader::new(map, "env.", reader.problems);
    let keep = patterns(&mut inner, "keep");
    let drop = patterns(&mut inner, "drop");
    let inherit = inner.flag("inherit", true);
    let set = inner.object("set");
    let set = variables(&mut inner, set);
    inner.finish(ENV_KEYS);
    EnvRules { keep, drop, set, inherit }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let map = reader.object("limits");
    let mut inner = Reader::new(map, "limits.", reader.problems);
    let default = Limits::default();
    let log_bytes = inner.count("log_bytes").unwrap_or(default.log_bytes);
    let memory_mb = inner.count("memory_mb");
    let processes = inner.count("processes");
    let cpu = inner.minutes("cpu_minutes");
    let open_files = inner.whole("open_files", LEAST_OPEN_FILES, u64::MAX);
    let file_size_mb = inner.count("file_size_mb");
    inner.finish(LIMIT_KEYS);
    Limits { log_bytes, memory_mb, processes, cpu, open_files, file_size_mb }
}

fn nice(reader: &mut Reader<'_>) -> u8 {
    let nice = reader.whole("nice", 0, MOST_NICE).unwrap_or_default();
    u8::try_from(nice).expect("it is at most 19")
}

fn patterns(reader: &mut Reader<'_>, key: &str) -> Vec<String> {
    let names = reader.texts(key);
    for name in &names {
        if name.is_empty() || name.contains('=') || name.matches('*').count() > 1 {
            reader.problem(
                key,
                format!("{name:?} is not the name of a variable, in which one `*` may stand"),
            );
        }
    }
    names
}

fn variables(reader: &mut Reader<'_>, set: Map<String, Value>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (name, value) in set {
        if name.is_empty() || name.contains(['=', '\0']) {
            reader.problem("set", format!("{name:?} is not the name of a variable"));
        } else if name.starts_with("LATTICE_") {
            reader.problem("set", format!("{name} is set by Lattice itself"));
        }
        match value {
            Value::String(value) if !value.contains('\0') => {
                variables.insert(name, value);
            }
            Value::String(_) => {
                reader.problem("set", format!("{name} must not contain a NUL character"));
            }
            other => {
                reader.problem("set", format!("{name} must be a string, not {}", kind(&other)));
            }
        }
    }
    variables
}
