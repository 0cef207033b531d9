//! What every long-lived role does first: leave the caller's streams, session, directory and umask.

use std::fs::File;
use std::path::Path;

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::RunId;
use lattice::model::run::{Spec, Supervisors};
use lattice::process::channel::Channel;
use lattice::process::helper::Helpers;
use lattice::process::{identity, inherit};
use lattice::runs::directory::{LifeLock, RunDir};
use lattice::runs::end::leftover::Leftover;
use lattice::storage::layout::Layout;
use lattice::storage::replace;
use nix::unistd::alarm;
use serde::Serialize;

/// A very big worktree on a very slow disk.
const FREEING_SECONDS: u32 = 3600;

use crate::loops::Loop;
use crate::renew::{self, Later, Renewed};

/// A supervisor's own place: the run, its spec, the life lock, and a channel to whoever started it.
pub(crate) struct Seat {
    pub(crate) id: RunId,
    pub(crate) run: RunDir,
    pub(crate) spec: Later<Spec>,
    pub(crate) layout: Layout,
    /// Held until the run is over: its close is what frees the run.
    pub(crate) life: LifeLock,
    /// A debug run, which has its caller's session: the engine gets one of its own, without a terminal.
    pub(crate) foreground: bool,
}

/// The directory is never the cwd: it goes away at the end, and a cwd that is gone breaks git and every shell.
pub(crate) fn take(directory: &Path) -> Result<(Seat, Channel)> {
    inherit::block_signals()?;
    let handed = inherit::take_standard_streams()?;
    let life = LifeLock { lock: File::from(handed.stdin), ended: File::from(handed.stderr) };
    // EPERM for a group leader: then it already is apart from its caller's group.
    let _already_apart = nix::unistd::setsid();
    inherit::restrict_own_files();
    inherit::adopt_orphans(true)?;
    let run = RunDir::at(directory);
    let id = run_id(&run)?;
    let channel = Channel::new(handed.stdout);
    let spec = run.spec().inspect_err(|failure| {
        // Of another version, perhaps. Whoever has started us may be gone, and is told if it is not.
        drop(channel.send(&failure.to_string()));
    })?;
    let layout = layout_of(&run)?;
    std::env::set_current_dir(&layout.dir).map_err(|error| {
        Failure::io(format_args!("failed to enter `{}`", layout.dir.display()), error)
    })?;
    let spec = renew::now(spec);
    Ok((Seat { id, run, spec, layout, life, foreground: false }, channel))
}

/// The same place after an `exec`, which leaves session, umask and directory as they are.
pub(crate) fn retake<T>(directory: &Path, renewed: &mut Renewed<T>) -> Result<Seat> {
    let life = LifeLock { lock: File::from(renewed.next()?), ended: File::from(renewed.next()?) };
    let run = RunDir::at(directory);
    let id = run_id(&run)?;
    let layout = layout_of(&run)?;
    let spec = renewed.later()?;
    Ok(Seat { id, run, spec, layout, life, foreground: false })
}

fn run_id(run: &RunDir) -> Result<RunId> {
    let named = run.run_id();
    named.ok_or_else(|| Failure::new(Code::Usage, format!("{} is no run", run.path().display())))
}

/// Where the directory is now: the project may have been moved since the spec was written.
fn layout_of(run: &RunDir) -> Result<Layout> {
    let dir = run.path().parent().and_then(Path::parent);
    match dir.and_then(|dir| Some((dir, dir.parent()?))) {
        Some((dir, root)) => Ok(Layout { root: root.to_owned(), dir: dir.to_owned() }),
        None => {
            Err(Failure::new(Code::Usage, format!("{} is in no project", run.path().display())))
        }
    }
}

impl Seat {
    /// Publishes who supervises. The warden comes first and alone, the shim adds itself. Not synced: no process lives
    /// on in another boot.
    pub(crate) fn publish(&self, as_shim: bool) -> Result<()> {
        let own = identity::own();
        let supervisors = match self.run.supervisors().filter(|_| as_shim) {
            Some(known) => Supervisors { shim: Some(own), ..known },
            None => Supervisors { warden: own, shim: None },
        };
        publish_unsynced(&supervisors, &self.run.supervisor())
    }

    /// The last that is done for a run that is over. Whoever waits for it is let go first; the life lock, at a path
    /// that names no run any more, keeps others from doing the same.
    pub(crate) fn free(self, leftover: Leftover) {
        drop(self.life.ended);
        // Nobody stands behind it any more. What it has not freed until then is left to the next call of anybody.
        alarm::set(FREEING_SECONDS);
        // Of a loop of its own: that of the run has ended with it. Without one the pool is not filled.
        let mut turns = leftover.is_kept().then(|| Loop::new(&self.spec, None).ok()).flatten();
        leftover.free(turns.as_mut().map(|turns| turns as &mut dyn Helpers));
    }

    pub(crate) fn log(&self) -> std::path::PathBuf {
        self.layout.dir.join(&self.spec.log_path)
    }
}

/// What only processes of this boot ask for.
pub(crate) fn publish_unsynced(what: &impl Serialize, path: &Path) -> Result<()> {
    Ok(replace::replace_unsynced(path, &json(what)?)?)
}

/// What must be known after a loss of power too, once this has returned.
pub(crate) fn publish_durably(what: &impl Serialize, path: &Path) -> Result<()> {
    Ok(replace::replace_then_sync(path, &json(what)?)?)
}

fn json(what: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(what).map_err(|error| Failure::internal(error.to_string()))
}
