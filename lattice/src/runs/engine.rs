//! What an engine is started with: its command line, its prompt, and the surroundings in which it can work.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use nix::unistd::Uid;

use super::context::Context;
use super::directory::RunDir;
use super::place::Place;
use super::preflight::program_path;
use super::surroundings;
use crate::model::definition::Definition;
use crate::model::engine::argv::{self, Run};
use crate::model::engine::preset::{self, Preset, Travel, When};
use crate::model::engine::prompt::{self, NAMES, Unknown, Values};
use crate::model::failure::{Code, Failure, Result};
use crate::model::reduce::Snapshot;
use crate::model::run::Spec;
use crate::process::env;
use crate::process::helper::Helpers;

/// No engine takes more; gemini drops what is behind it.
const LONGEST_PROMPT: usize = 8 * 1024 * 1024;

/// The text with its placeholders, as of the commit that the run is frozen at, or as it is in place.
pub(super) fn read_prompt(
    ctx: &Context,
    definition: &Definition,
    place: &Place,
    helpers: &mut dyn Helpers,
    notes: &mut Vec<String>,
) -> Result<Option<String>> {
    let Some(path) = &definition.prompt_file else { return Ok(None) };
    let here = ctx.layout.root.join(path);
    let bytes = match &place.repository {
        Some(repository) if definition.worktree => {
            let committed = repository.read_file(helpers, &place.commit_sha, path)?;
            if fs_err::read(&here).is_ok_and(|bytes| bytes != committed) {
                let commit = place.commit_sha.get(..10).unwrap_or_default();
                let path = path.display();
                notes.push(format!(
                    "{path} has changes that the run does not see: it uses the one of {commit}"
                ));
            }
            committed
        }
        _ => fs_err::read(&here)?,
    };
    let odd = |what: &str, hint: &str| {
        let message = format!("the prompt {} {what}", path.display());
        Err(Failure::new(Code::InvalidDefinition, message).hint(hint))
    };
    if bytes.len() > LONGEST_PROMPT {
        return odd("is longer than 8 MiB", "let it name files for the engine to read");
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.trim().is_empty() => odd("is empty", "write what the engine is to do"),
        Ok(text) => Ok(Some(text)),
        Err(_) => odd("is not UTF-8", "convert it: iconv -t utf-8"),
    }
}

/// Fills in the prompt and the command line, which speak of the run.
pub(super) fn complete(
    spec: &mut Spec,
    definition: &Definition,
    snapshot: &Snapshot,
    template: Option<&str>,
) -> Result<()> {
    let preset = preset::preset(definition.engine);
    let run = RunDir::at(spec.lattice_dir.join("runs").join(spec.run_id.as_str()));
    let rendered =
        template.map(|text| render(text, spec, definition, snapshot, &run)).transpose()?;
    let path = run.prompt();
    let prompt = rendered.as_deref().map(|text| (text, path.as_path()));
    spec.argv = argv::argv(preset, definition, &Run { id: &spec.run_id, cwd: &spec.cwd, prompt });
    spec.prompt_on_stdin = prompt.is_some() && preset.prompt == Travel::Stdin;
    spec.prompt_path = prompt.is_some().then_some(path);
    spec.prompt = rendered;
    Ok(())
}

fn render(
    text: &str,
    spec: &Spec,
    definition: &Definition,
    snapshot: &Snapshot,
    run: &RunDir,
) -> Result<String> {
    let field = |key: &str| snapshot.text(key).unwrap_or_default();
    let report = run.report();
    let values = Values {
        task_id: spec.task_id.as_str(),
        short_id: snapshot.display_id(),
        title: snapshot.title(),
        description: field("description"),
        kind: field("type"),
        priority: field("priority"),
        worker: &spec.worker,
        run: spec.run_id.as_str(),
        commit: &spec.commit_sha,
        report: &report.to_string_lossy(),
        worktree: &spec.worktree_path.as_ref().unwrap_or(&spec.project_root).to_string_lossy(),
        actor: &spec.actor,
    };
    prompt::render(text, &values).map_err(|unknown| unknown_placeholder(definition, &unknown))
}

/// Before there is a run that could fill them in.
pub(super) fn check_placeholders(definition: &Definition, text: &str) -> Result<()> {
    prompt::check(text).map_err(|unknown| unknown_placeholder(definition, &unknown))
}

fn unknown_placeholder(definition: &Definition, unknown: &Unknown) -> Failure {
    let file = definition.prompt_file.as_deref().unwrap_or(Path::new("the prompt"));
    let Unknown { name, line, nearest } = unknown;
    let message = format!(
        "{} line {line}: {{{{{name}}}}} is not a placeholder; did you mean {{{{{nearest}}}}}?",
        file.display()
    );
    Failure::new(Code::InvalidDefinition, message)
        .hint(format!("there are {}; plain braces are written \\{{{{…}}}}", NAMES.join(", ")))
}

/// What the engine is known not to work in. It would end at once, and with less to say.
pub(super) fn refuse_surroundings(
    ctx: &Context,
    preset: &Preset,
    definition: &Definition,
) -> Result<()> {
    if preset.refusals.is_empty() {
        return Ok(());
    }
    let rules = surroundings::rules_of(definition);
    let env = env::engine_env(&ctx.caller_env, &rules, &[]);
    match preset.refusals.iter().find(|refusal| holds(ctx, refusal.when, preset, definition, &env))
    {
        None => Ok(()),
        Some(refusal) => Err(Failure::new(Code::SpawnError, refusal.message).hint(refusal.hint)),
    }
}

fn holds(
    ctx: &Context,
    when: When,
    preset: &Preset,
    definition: &Definition,
    env: &[(OsString, OsString)],
) -> bool {
    let value = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    match when {
        When::Root { words, unless } => {
            Uid::effective().is_root()
                && words.iter().any(|word| argv::has_word(preset, definition, word))
                && !unless.iter().any(|(name, wanted)| {
                    value(name).is_some_and(|value| value == OsStr::new(wanted))
                })
        }
        When::NeedsProgram { variable: (name, wanted), program } => {
            cfg!(target_os = "linux")
                && value(name).is_some_and(|value| value == OsStr::new(wanted))
                && program_path(ctx, program).is_none()
        }
        When::NoDirectory(name) => value(name).is_some_and(|path| !Path::new(path).is_dir()),
    }
}
