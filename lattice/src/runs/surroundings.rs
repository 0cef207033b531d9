//! What a run adds to its engine's environment, and by which rules it inherits the caller's.

use std::ffi::OsString;

use super::context::{COOKIE, DEPTH, SANDBOXED};
use super::directory::RunDir;
use crate::model::definition::{Definition, EngineKind, Sandbox};
use crate::model::engine::preset;
use crate::model::run::Spec;
pub use crate::process::env::Action;
use crate::process::env::{self, Rules};

pub fn rules(spec: &Spec) -> Rules<'_> {
    Rules {
        keep: &spec.env_keep,
        drop: &spec.env_drop,
        set: &spec.env_set,
        inherit: spec.env_inherit,
    }
}

/// The same before there is a run.
pub fn rules_of(definition: &Definition) -> Rules<'_> {
    Rules {
        keep: &definition.env.keep,
        drop: &definition.env.drop,
        set: &definition.env.set,
        inherit: definition.env.inherit,
    }
}

/// The names that [`added`] gives values to, and what they are for.
pub fn names(
    engine: EngineKind,
    worktree: bool,
    sandboxed: bool,
) -> Vec<(&'static str, &'static str)> {
    let mut names = vec![
        ("LATTICE_ROOT", "the project"),
        ("LATTICE_DIR", "its .lattice"),
        ("LATTICE_TASK_ID", "the task"),
        ("LATTICE_COMMIT_SHA", "the commit"),
        (COOKIE, "the run"),
        ("LATTICE_ACTOR", "who its events are by"),
        ("LATTICE_WORKER", "the worker's name"),
        ("LATTICE_REPORT", "where to write the report"),
        ("LATTICE_USAGE", "where to tell what agents have used that it asks"),
        ("TMPDIR", "a directory of the run, gone afterwards"),
        (DEPTH, "how many runs deep it is"),
        ("PWD", "the directory that it works in"),
    ];
    if worktree {
        names.push(("LATTICE_WORKTREE", "its worktree"));
    }
    if sandboxed {
        names.push((SANDBOXED, "it is in a sandbox"));
    }
    let preset = preset::preset(engine);
    names.extend(preset.env.iter().map(|(name, _)| (*name, "the engine needs it")));
    names
}

/// What would become of every variable of a caller and of the run, sorted by name.
pub fn explain(definition: &Definition, caller: &[(OsString, OsString)]) -> Vec<(String, Action)> {
    let sandboxed = definition.sandbox == Sandbox::Worktree;
    let names = names(definition.engine, definition.worktree, sandboxed);
    env::explain(caller, &rules_of(definition), &names)
}

pub fn added(spec: &Spec, run: &RunDir) -> Vec<(String, OsString)> {
    let text = |name: &str, value: &str| (name.to_owned(), OsString::from(value));
    let mut added = vec![
        ("LATTICE_ROOT".to_owned(), spec.project_root.clone().into_os_string()),
        ("LATTICE_DIR".to_owned(), spec.lattice_dir.clone().into_os_string()),
        text("LATTICE_TASK_ID", spec.task_id.as_str()),
        text("LATTICE_COMMIT_SHA", &spec.commit_sha),
        text(COOKIE, spec.run_id.as_str()),
        text("LATTICE_ACTOR", &spec.actor),
        text("LATTICE_WORKER", &spec.worker),
        ("LATTICE_REPORT".to_owned(), run.report().into_os_string()),
        ("LATTICE_USAGE".to_owned(), run.usage().into_os_string()),
        ("TMPDIR".to_owned(), run.work().join("tmp").into_os_string()),
        text(DEPTH, &spec.depth.to_string()),
        // The caller's is another directory, and some engines believe it.
        ("PWD".to_owned(), spec.cwd.clone().into_os_string()),
    ];
    if let Some(preset) = preset::by_name(&spec.engine) {
        added.extend(preset.env.iter().map(|(name, value)| text(name, value)));
    }
    if let Some(worktree) = &spec.worktree_path {
        added.push(("LATTICE_WORKTREE".to_owned(), worktree.clone().into_os_string()));
    }
    if spec.is_sandboxed() {
        added.push(text(SANDBOXED, "worktree"));
    }
    added
}
