//! The environment that an engine gets: the caller's, cleaned, with the run's own variables added.

use std::ffi::OsString;

use lattice::model::run::Spec;
use lattice::process::env;
use lattice::runs::directory::RunDir;
use lattice::runs::surroundings;

pub(crate) fn of(spec: &Spec, run: &RunDir) -> Vec<(OsString, OsString)> {
    let added = surroundings::added(spec, run);
    env::with_attached_gc(env::engine_env(&callers(), &surroundings::rules(spec), &added))
}

/// The caller's environment came to us through exec, and is nowhere else.
#[expect(
    clippy::disallowed_methods,
    reason = "the shim's own environment is the caller's, handed down"
)]
pub(crate) fn callers() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}
