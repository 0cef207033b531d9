//! `.lattice/runs/<RunId>/`: its files, and the life lock.
//!
//! The life lock is only ever closed, never unlocked: LOCK_UN on any duplicate would free it for all holders
//! (flock(2)). So it is a plain `File`, and nobody but holders and reapers opens it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::run::{Engine, SPEC_VERSION, Spec, Supervisors};
use crate::process::identity::{self, Presence};

/// Enough for the longest record: a log tail of 4 KiB is less than 30 KiB when it is escaped.
pub const RESERVE_BYTES: u64 = 64 * 1024;
/// One for the shim, one for the warden; a third ender has what their worktree has freed.
pub const RESERVES: usize = 2;
pub const RESERVE_PREFIX: &str = ".record-";

/// A run's directory. Holding one says nothing about who supervises the run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

/// `lock` and `ended`, both held for as long as this lives.
#[derive(Debug)]
pub struct LifeLock {
    pub lock: File,
    pub ended: File,
}

/// What an attempt to take the life lock found.
#[derive(Debug)]
pub enum Take {
    Taken(LifeLock),
    /// Supervised, or being finished.
    Held,
    /// It has ended meanwhile: the directory is gone or another one's.
    Gone,
    /// Another user's, or unreadable: not ours to judge.
    NotOurs,
}

impl RunDir {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run that the directory is named after.
    pub fn run_id(&self) -> Option<RunId> {
        RunId::parse(self.path.file_name()?.to_str()?)
    }

    /// Where it is when the run is over, until its worktree's bytes are freed.
    #[must_use]
    pub fn retired(&self) -> Self {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        Self::at(self.path.with_file_name(format!(".old-{name}")))
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    pub fn ended(&self) -> PathBuf {
        self.file("ended")
    }

    /// The start line, once it is in the log: proof that this is a run even if the log loses it. Not synced, because the
    /// log is: only a loss of power and of the line together take both.
    pub fn started(&self) -> PathBuf {
        self.file("started")
    }

    pub fn spec_file(&self) -> PathBuf {
        self.file("spec.json")
    }

    pub fn supervisor(&self) -> PathBuf {
        self.file("supervisor.json")
    }

    pub fn engine(&self) -> PathBuf {
        self.file("engine.json")
    }

    pub fn stop_request(&self) -> PathBuf {
        self.file("stop.request")
    }

    pub fn reported(&self) -> PathBuf {
        self.file("reported")
    }

    pub fn terminal(&self) -> PathBuf {
        self.file("terminal.json")
    }

    /// It has no slot yet: see `slots`.
    pub fn waiting(&self) -> PathBuf {
        self.file("waiting")
    }

    /// Who is finishing the run for its dead supervisors.
    pub fn reaper(&self) -> PathBuf {
        self.file("reaper.json")
    }

    /// The only part that the engine may write.
    pub fn work(&self) -> PathBuf {
        self.file("work")
    }

    pub fn report(&self) -> PathBuf {
        self.work().join("report")
    }

    /// Where the worker tells what agents have used that it asks by itself.
    pub fn usage(&self) -> PathBuf {
        self.work().join("usage")
    }

    /// What the engine is asked to do, with its placeholders filled in.
    pub fn prompt(&self) -> PathBuf {
        self.work().join("prompt")
    }

    pub fn exists(&self) -> bool {
        fs_err::symlink_metadata(&self.path).is_ok()
    }

    pub fn spec(&self) -> Result<Spec> {
        let path = self.spec_file();
        let bytes = fs_err::read(&path)?;
        let spec: Result<Spec, _> = serde_json::from_slice(&bytes);
        // A newer one may be of any shape.
        let version = match &spec {
            Ok(spec) => u64::from(spec.version),
            Err(_) => serde_json::from_slice(&bytes).map_or(0, |value| version(&value)),
        };
        refuse_newer(&path, version)?;
        spec.map_err(|error| unreadable(&path, &error))
    }

    /// Of a spec that this build may read, without reading all of it.
    pub fn task(&self) -> Option<TaskId> {
        #[derive(Deserialize)]
        struct Part {
            version: u32,
            task_id: TaskId,
        }
        let part: Part = read_json(&self.spec_file()).ok()?;
        (part.version <= SPEC_VERSION).then_some(part.task_id)
    }

    pub fn supervisors(&self) -> Option<Supervisors> {
        read_json(&self.supervisor()).ok()
    }

    pub fn engine_identity(&self) -> Option<Engine> {
        read_json(&self.engine()).ok()
    }

    /// One attempt, never a wait.
    pub fn take(&self) -> io::Result<Take> {
        match fs_err::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.uid() != Uid::effective().as_raw() => {
                return Ok(Take::NotOurs);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Take::Gone),
            Err(error) => return Err(error),
        }
        let lock = match open_existing(&self.lock()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Take::Gone),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Take::NotOurs);
            }
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Take::Held),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&lock, &self.lock()) {
            return Ok(Take::Gone);
        }
        let ended = open_or_make(&self.ended())?;
        // A waiter may be holding it for a moment. It proves nothing, so waiters then simply ask again.
        drop(ended.try_lock());
        Ok(Take::Taken(LifeLock { lock, ended }))
    }

    /// Whether it is another user's, who alone may look.
    pub fn is_closed(&self) -> bool {
        let opened = fs_err::File::open(self.lock());
        opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether its end is being written, by a supervisor or by a reaper.
    pub fn is_ending(&self) -> bool {
        let files = [self.terminal(), self.reaper()];
        files.iter().any(|path| fs_err::symlink_metadata(path).is_ok())
    }

    pub fn is_waiting(&self) -> bool {
        fs_err::symlink_metadata(self.waiting()).is_ok()
    }

    pub(super) fn stop_waiting(&self) -> io::Result<()> {
        match fs_err::remove_file(self.waiting()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether somebody holds the life lock. For sparing and showing; only `take` may decide that a run is dead.
    /// A recorded supervisor that is alive answers for it: every probe of the lock itself could make a reaper
    /// believe for an instant that it is held.
    pub fn is_held(&self) -> bool {
        let recorded = self.supervisors();
        let mut supervisors =
            recorded.iter().flat_map(|both| both.shim.iter().chain([&both.warden]));
        if supervisors.any(|identity| identity::presence(identity) == Presence::Alive) {
            return true;
        }
        // Reading is enough for flock(2), also where the directory may not be written to.
        match fs_err::File::open(self.lock()) {
            Ok(lock) => matches!(lock.into_file().try_lock_shared(), Err(TryLockError::WouldBlock)),
            // Another user's: nothing says that it is dead.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
    }
}

/// Whether `path` still leads to the file that is open.
pub fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs_err::symlink_metadata(path)) else {
        return false;
    };
    open.nlink() != 0 && open.ino() == there.ino() && open.dev() == there.dev()
}

fn open_existing(path: &Path) -> io::Result<File> {
    Ok(fs_err::OpenOptions::new().read(true).write(true).open(path)?.into_file())
}

/// `ended` proves nothing, so one that somebody has removed may be replaced.
fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    Ok(options.read(true).write(true).create(true).truncate(false).open(path)?.into_file())
}

pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs_err::read(path)?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(path, &error))
}

/// What a newer build has written may mean something else: it is left alone, whatever it looks like.
pub(super) fn refuse_newer(path: &Path, version: u64) -> Result<()> {
    if version <= u64::from(SPEC_VERSION) {
        return Ok(());
    }
    let message =
        format!("{} has version {version}; this build knows {SPEC_VERSION}", path.display());
    Err(Failure::new(Code::VersionMismatch, message)
        .hint("use the newer lattice that started the run"))
}

pub(super) fn version(spec: &serde_json::Value) -> u64 {
    spec.get("version").and_then(serde_json::Value::as_u64).unwrap_or_default()
}

pub(super) fn unreadable(path: &Path, error: &serde_json::Error) -> Failure {
    Failure::new(Code::ValidationError, format!("{} cannot be understood: {error}", path.display()))
}
