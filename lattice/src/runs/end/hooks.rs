//! E5: hooks on a run's events, at least once each: a marker per hook is made after it has run.

use std::time::Duration;

use super::hands::Hands;
use super::sequence::End;
use crate::model::event::Event;
use crate::model::hooks::{Hook, hook_env, hooks_for};
use crate::model::json;
use crate::process::env::GIT_LOCAL;
use crate::process::helper::Helpers;
use crate::process::spawn;
use crate::runs::context::COOKIE;
use crate::storage::layout::Layout;
use crate::storage::task;

const LIMIT: Duration = Duration::from_secs(10);

/// What a run tells its engine. How deep it is stays: a hook does not begin anew.
const OF_A_RUN: &[&str] = &[
    COOKIE,
    "LATTICE_DIR",
    "LATTICE_WORKTREE",
    "LATTICE_REPORT",
    "LATTICE_USAGE",
    "LATTICE_WORKER",
    "LATTICE_COMMIT_SHA",
];

pub(super) fn fire_once(end: &End<'_>, record: &Event, hands: &mut dyn Hands) {
    for (index, hook) in hooks(end.layout, record).iter().enumerate() {
        let marker = end.run.file(&format!(".hook-{index}"));
        if fs_err::symlink_metadata(&marker).is_err() {
            run(end.layout, record, hook, hands);
            // Without a marker the hook runs once more after a kill, which "at least once" allows.
            drop(fs_err::write(&marker, ""));
        }
    }
}

/// Runs the hooks of an event in their order. A hook's failure is its own affair.
pub fn fire(layout: &Layout, event: &Event, helpers: &mut dyn Helpers) {
    for hook in hooks(layout, event) {
        run(layout, event, &hook, helpers);
    }
}

fn hooks(layout: &Layout, event: &Event) -> Vec<Hook> {
    task::read_config(layout).map(|config| hooks_for(&config, event)).unwrap_or_default()
}

fn run<H: Helpers + ?Sized>(layout: &Layout, event: &Event, hook: &Hook, helpers: &mut H) {
    let mut command = spawn::command("/bin/sh");
    command.arg("-c").arg(&hook.command).current_dir(&layout.root);
    // The caller may have been a git hook, whose index is long committed when the run ends, or an outer run.
    for name in GIT_LOCAL.iter().chain(OF_A_RUN) {
        command.env_remove(name);
    }
    command.envs(hook_env(&layout.dir, event));
    let stdin = json::compact(&event.to_value()).into_bytes();
    // Its exit status is ignored by contract, and a supervisor has no place to print that it did not start.
    drop(helpers.run_unheard(command, stdin, LIMIT));
}
