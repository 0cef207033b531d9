//! The proof that a run is dead, in the order that keeps the living safe: store, boot, machine, pid namespace.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::directory::RunDir;
use super::store;
use crate::model::event::{Event, PROCESS_STARTED};
use crate::model::failure::{Code, Result};
use crate::model::outcome::{Facts, Reason, Survivors};
use crate::model::run::{Identity, Spec};
use crate::model::time;
use crate::process::identity::{self, Presence};
use crate::process::table;
use crate::storage::layout::Layout;
use crate::storage::task;

/// From the fall of a supervisor's lock to its end.
const LAST_MOMENTS: Duration = Duration::from_millis(500);

/// What may be done with a run whose life lock we hold.
#[derive(Debug)]
pub enum Verdict {
    /// No start was ever recorded: it goes without an event.
    NeverRan,
    Dead(Facts),
    /// Why it is not ours to end.
    Leave(String),
}

/// `forced`: a person vouches that nobody runs it; only "never ran" is still looked at.
pub fn examine(layout: &Layout, run: &RunDir, spec: &Spec, forced: bool) -> Result<Verdict> {
    // A debug run has no start line; what it has made is there all the same.
    if spec.record && !has_started(layout, run, spec)? {
        return Ok(Verdict::NeverRan);
    }
    if forced {
        return Ok(dead(run, Reason::SupervisorLost, Survivors::None));
    }
    if is_copy(run, spec) {
        return Ok(Verdict::Leave(format!(
            "its directory is a copy: the run is that of {}",
            spec.lattice_dir.display()
        )));
    }
    if store::read(layout)?.as_deref() != Some(&spec.store) {
        return Ok(Verdict::Leave("it was started in another copy of this directory".to_owned()));
    }
    if spec.boot_id == store::boot_id() {
        if is_supervised(run) {
            return Ok(Verdict::Leave(
                "its supervisors are alive: its directory was taken away and put back".to_owned(),
            ));
        }
        return Ok(on_this_boot(run, spec));
    }
    if spec.host != store::host() {
        return Ok(Verdict::Leave(format!("it was started on the machine {}", spec.host)));
    }
    let file_system = store::file_system(layout)?;
    if let Some(shared) =
        [&spec.file_system, &file_system].into_iter().find(|name| store::is_shared(name))
    {
        return Ok(Verdict::Leave(format!(
            "its directory is on {shared}, where a lock proves nothing"
        )));
    }
    // No process outlives its boot.
    Ok(dead(run, Reason::MachineRebooted, Survivors::None))
}

/// A copied project has the store, the host and the boot of the original, and locks that nobody holds.
fn is_copy(run: &RunDir, spec: &Spec) -> bool {
    let original = spec.lattice_dir.join("runs").join(spec.run_id.as_str());
    let same =
        |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    match (fs_err::metadata(original), fs_err::metadata(run.path())) {
        (Ok(original), Ok(here)) => !same(&original, &here),
        _ => false,
    }
}

/// Who lives holds the lock, unless git has taken the directory away and brought another one back, as from a stash.
/// Who has just died is gone a moment after its lock was free.
fn is_supervised(run: &RunDir) -> bool {
    let Some(supervisors) = run.supervisors() else { return false };
    let is_alive = |identity: &Identity| identity::presence(identity) == Presence::Alive;
    let recorded = [&supervisors.warden].into_iter().chain(&supervisors.shim);
    let recorded: Vec<_> = recorded.collect();
    let deadline = Instant::now() + LAST_MOMENTS;
    while recorded.iter().any(|identity| is_alive(identity)) {
        if Instant::now() > deadline {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

/// The same kernel gave us the lock, so both supervisors are dead; what they left may be out of sight.
fn on_this_boot(run: &RunDir, spec: &Spec) -> Verdict {
    let namespace = run.supervisors().map(|supervisors| supervisors.warden.pid_namespace);
    if namespace.is_none_or(table::can_see_namespace) {
        return dead(run, Reason::SupervisorLost, Survivors::None);
    }
    let limit = Duration::from_millis(spec.timeout_ms);
    let grace = Duration::from_millis(spec.grace_ms);
    let deadline = match run.engine_identity() {
        Some(engine) => time::parse(&engine.deadline_at),
        None => time::parse(&spec.started_at).and_then(|time| time.checked_add(limit)),
    };
    let over = deadline
        .and_then(|deadline| deadline.checked_add(grace))
        .is_some_and(|deadline| SystemTime::now() > deadline);
    if over {
        dead(run, Reason::SupervisorLost, Survivors::Unknown)
    } else {
        Verdict::Leave(
            "its processes would be in a pid namespace that cannot be seen from here".to_owned(),
        )
    }
}

fn dead(run: &RunDir, reason: Reason, survivors: Survivors) -> Verdict {
    let stop_requested = fs_err::symlink_metadata(run.stop_request()).is_ok();
    // Whoever killed its supervisors, the run was to be ended.
    let asked_for = stop_requested && reason == Reason::SupervisorLost;
    let reason = if asked_for { Reason::Stopped } else { reason };
    Verdict::Dead(Facts { survivors, stop_requested, ..Facts::new(reason) })
}

/// "No" only where everything could be read: what cannot be looked at now may be there.
fn has_started(layout: &Layout, run: &RunDir, spec: &Spec) -> Result<bool> {
    for path in [run.started(), run.engine(), run.terminal()] {
        if !is_missing(&path)? {
            return Ok(true);
        }
    }
    Ok(start_line(layout, spec)?.is_some())
}

/// Whether nothing is there. An error other than that is one, never a "no".
pub fn is_missing(path: &Path) -> io::Result<bool> {
    match fs_err::symlink_metadata(path) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// The start event of the run as it stands in its task's log.
pub fn start_line(layout: &Layout, spec: &Spec) -> Result<Option<String>> {
    let events = match task::read_task(layout, &spec.task_id) {
        Ok((events, _, _)) => events,
        Err(failure) if failure.code() == Code::NotFound => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let is_start =
        |event: &&Event| event.kind() == PROCESS_STARTED && event.id() == spec.run_id.as_str();
    Ok(events.iter().find(is_start).map(Event::line))
}
