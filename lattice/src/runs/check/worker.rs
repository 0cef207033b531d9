//! One worker: its definition, and everything that it names.

use std::path::Path;

use super::agent::{Agent, Told};
use super::line::{Line, State};
use super::machine::{nearest, room, writable};
use crate::model::definition::Definition;
use crate::model::engine::argv;
use crate::model::engine::preset::{self, Preset};
use crate::process::helper::Helpers;
use crate::runs::context::Context;
use crate::runs::place::{self, Place, is_below_project};
use crate::runs::{allowance, engine, preflight, specify, writable};
use crate::storage::definitions::Found;
use crate::storage::task;

/// What was found about one worker.
pub struct Checked {
    pub worker: String,
    /// Relative to the project root.
    pub path: String,
    pub lines: Vec<Line>,
}

impl Checked {
    /// Whether nothing of it would stop a run.
    pub fn starts(&self) -> bool {
        self.lines.iter().all(|line| line.state != State::Stops)
    }
}

/// Those of `found` that `wanted` names; the others count for names that are used twice.
pub fn workers(
    ctx: &Context,
    found: &[Found],
    wanted: impl Fn(&Found) -> bool,
    helpers: &mut dyn Helpers,
) -> Vec<Checked> {
    let mut told = Told::default();
    let wanted = found.iter().filter(|found| wanted(found));
    wanted
        .map(|one| {
            let mut lines = twins(one, found);
            match &one.result {
                Ok(definition) => lines.extend(valid(ctx, definition, &mut told, helpers)),
                Err(problems) => lines.extend(problems.iter().map(|problem| {
                    Line::stops("definition", problem.to_string(), "lattice worker schema")
                })),
            }
            let path = one.path.display().to_string();
            Checked { worker: one.name(), path, lines }
        })
        .collect()
}

fn twins(one: &Found, all: &[Found]) -> Vec<Line> {
    let same =
        |other: &&Found| other.path != one.path && other.name().eq_ignore_ascii_case(&one.name());
    let line = |other: &Found| {
        let says = format!("{} has the same name", other.path.display());
        Line::stops("definition", says, "rename or remove one of them")
    };
    all.iter().filter(same).map(line).collect()
}

fn valid(
    ctx: &Context,
    definition: &Definition,
    told: &mut Told,
    helpers: &mut dyn Helpers,
) -> Vec<Line> {
    let preset = preset::preset(definition.engine);
    let mut lines = vec![Line::fine("definition", "valid")];
    let place = match place::look(ctx, None, definition, helpers) {
        Err(failure) => {
            lines.push(Line::of_failure("place", &failure));
            None
        }
        Ok((place, missing)) => {
            lines.push(Line::fine("place", where_it_works(definition, &place)));
            lines.extend(missing.iter().map(|failure| Line::of_failure("files", failure)));
            lines.extend(prompt(ctx, definition, &place, missing.is_empty(), helpers));
            Some(place)
        }
    };
    lines.extend(program(ctx, preset, definition, place.as_ref(), told, helpers));
    let refused = engine::refuse_surroundings(ctx, preset, definition);
    if refused.is_err() || !preset.refusals.is_empty() {
        lines.push(Line::of("surroundings", &refused, "nothing that it refuses to work in"));
    }
    lines.extend(carried(ctx, definition));
    lines.extend(included(ctx, definition, helpers));
    lines.extend(worktrees(ctx, definition));
    lines.extend(confinement(ctx, definition));
    lines.extend(limits(definition));
    lines
}

fn limits(definition: &Definition) -> impl Iterator<Item = Line> {
    let hint = "lower it, or raise the hard limit: limits.conf(5), systemd.exec(5)";
    let notes = allowance::notes(&specify::limits(&definition.limits));
    notes.into_iter().map(move |note| Line::doubtful("limits", note, hint))
}

fn confinement(ctx: &Context, definition: &Definition) -> Vec<Line> {
    let mut notes = Vec::new();
    let line = match writable::wanted(ctx, definition, &mut notes) {
        Ok(None) => None,
        Ok(Some(sandbox)) if sandbox.missing => None,
        Ok(Some(sandbox)) => {
            let listed = match sandbox.write.len() {
                0 => String::new(),
                count => format!(", and what its definition lists ({count})"),
            };
            Some(Line::fine("sandbox", format!("it can write only its worktree{listed}")))
        }
        Err(failure) => Some(Line::of_failure("sandbox", &failure)),
    };
    let hint = "use Linux 6.2 or later with Landlock";
    notes.into_iter().map(|note| Line::doubtful("sandbox", note, hint)).chain(line).collect()
}

fn where_it_works(definition: &Definition, place: &Place) -> String {
    let short = place.commit_sha.get(..10).unwrap_or(&place.commit_sha);
    if definition.worktree {
        format!("a worktree of {short} (HEAD)")
    } else {
        "the project itself".to_owned()
    }
}

fn prompt(
    ctx: &Context,
    definition: &Definition,
    place: &Place,
    is_there: bool,
    helpers: &mut dyn Helpers,
) -> Vec<Line> {
    let Some(path) = definition.prompt_file.as_ref().filter(|_| is_there) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let read = engine::read_prompt(ctx, definition, place, helpers, &mut notes);
    let checked = read.and_then(|text| {
        let text = text.unwrap_or_default();
        engine::check_placeholders(definition, &text).map(|()| text.len())
    });
    let size = checked.as_ref().map_or(0, |size| *size);
    let says = format!("{}, {size} bytes, every placeholder known", path.display());
    let mut lines = vec![Line::of("prompt", &checked, says)];
    lines.extend(notes.into_iter().map(|note| Line::doubtful("prompt", note, "commit it")));
    lines
}

fn program(
    ctx: &Context,
    preset: &Preset,
    definition: &Definition,
    place: Option<&Place>,
    told: &mut Told,
    helpers: &mut dyn Helpers,
) -> Vec<Line> {
    let program = argv::program(preset, definition);
    let is_in_project = is_below_project(Path::new(program));
    if is_in_project && place.is_none_or(|place| place.repository.is_some()) {
        // The place has said whether the commit has it.
        let mode = fs_err::metadata(ctx.layout.root.join(program));
        return vec![match mode {
            Ok(_) => executable(ctx, program),
            Err(_) => Line::unknown("program", format!("{program}, of the commit")),
        }];
    }
    let Some(path) = preflight::program_path(ctx, program) else {
        let message = format!("the program `{program}` was not found, or is not executable");
        let hint = "install it, put it on PATH, or correct `command` in the definition";
        return vec![Line::stops("program", message, hint)];
    };
    let is_shell =
        matches!(definition.command, Some(crate::model::definition::CommandLine::Shell(_)));
    if preset.program.is_none() || is_shell {
        return vec![Line::fine("program", path.display().to_string())];
    }
    Agent::new(ctx, preset, definition, path).lines(told, helpers)
}

/// A file of the project: git keeps its mode, so what is here tells what the commit has.
fn executable(ctx: &Context, program: &str) -> Line {
    match preflight::program_path(ctx, program) {
        Some(_) => Line::fine("program", program),
        None => Line::stops(
            "program",
            format!("{program} is not executable"),
            format!("chmod +x {program} && git commit {program}"),
        ),
    }
}

fn carried(ctx: &Context, definition: &Definition) -> Vec<Line> {
    let is_absent =
        |path: &&std::path::PathBuf| fs_err::symlink_metadata(ctx.layout.root.join(path)).is_err();
    let copies = definition.copy.iter().filter(is_absent).map(|path| {
        let says = format!("{} is to be copied, and is not there", path.display());
        Line::stops("copy", says, "make it, or take it out of `copy`")
    });
    let links = definition.link.iter().filter(is_absent).map(|path| {
        let says = format!("{} is to be linked, and is not there", path.display());
        Line::doubtful("link", says, "make it, or take it out of `link`")
    });
    copies.chain(links).collect()
}

fn included(ctx: &Context, definition: &Definition, helpers: &mut dyn Helpers) -> Option<Line> {
    match place::included(ctx, definition, helpers) {
        Err(failure) => Some(Line::of_failure("include", &failure)),
        Ok(paths) if paths.is_empty() => None,
        Ok(paths) => {
            let some: Vec<String> =
                paths.iter().take(3).map(|path| path.display().to_string()).collect();
            let more = if paths.len() > some.len() { ", …" } else { "" };
            let names = some.join(", ");
            Some(Line::fine("include", format!("{} copied into it: {names}{more}", paths.len())))
        }
    }
}

/// Where its worktree would be, if that is another place than `.lattice`.
fn worktrees(ctx: &Context, definition: &Definition) -> Vec<Line> {
    let config = task::read_config(&ctx.layout).unwrap_or_default();
    let Some(root) = config.workers().worktree_root.filter(|_| definition.worktree) else {
        return Vec::new();
    };
    let root = ctx.layout.root.join(root);
    let mut lines = vec![writable(&root), room("room", &root)];
    let device = |path: &Path| rustix::fs::stat(nearest(path)).map(|found| found.st_dev).ok();
    if device(&root) != device(&ctx.layout.dir) {
        let says = format!("{} is on another file system than .lattice", root.display());
        lines.push(Line::doubtful("place", says, "set workers.worktree_root in config.json"));
    }
    lines
}
