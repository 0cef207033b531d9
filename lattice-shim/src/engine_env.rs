//! The environment that an engine gets: the caller's, cleaned, with the run's own variables added.

use std::ffi::OsString;

use lattice::model::mask::Mask;
use lattice::model::run::Spec;
use lattice::process::env::{self, Rules};
use lattice::runs::context::{COOKIE, DEPTH};
use lattice::runs::directory::RunDir;

pub(crate) fn of(spec: &Spec, run: &RunDir) -> Vec<(OsString, OsString)> {
    let rules = Rules {
        keep: &spec.env_keep,
        drop: &spec.env_drop,
        set: &spec.env_set,
        inherit: spec.env_inherit,
    };
    env::engine_env(&callers(), &rules, &added(spec, run))
}

/// What must not be repeated in a committed log: the caller's secrets and the definition's.
pub(crate) fn mask(spec: &Spec) -> Mask {
    let callers = callers();
    let texts = callers.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    Mask::new(texts.chain(spec.env_set.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}

/// The caller's environment came to us through exec, and is nowhere else.
#[expect(
    clippy::disallowed_methods,
    reason = "the shim's own environment is the caller's, handed down"
)]
fn callers() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

fn added(spec: &Spec, run: &RunDir) -> Vec<(String, OsString)> {
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
        ("TMPDIR".to_owned(), run.work().join("tmp").into_os_string()),
        text(DEPTH, &spec.depth.to_string()),
    ];
    if let Some(worktree) = &spec.worktree_path {
        added.push(("LATTICE_WORKTREE".to_owned(), worktree.clone().into_os_string()));
    }
    added
}
