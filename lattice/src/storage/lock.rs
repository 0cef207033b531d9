//! Locks that the Python tool respects too: `flock(2)` on `locks/<key>.lock`, several keys in code point order.

use std::fs::TryLockError;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;

use super::layout::Layout;
use crate::model::failure::{Code, Failure};
use crate::model::ids::TaskId;
use crate::storage::owner;

/// Guards `ids.json`. Taken and released before a task's own locks.
pub const IDS_KEY: &str = "ids_json";

/// For the whole set of keys. The Python tool dies after 10 s, so we give up before it does.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Between two looks at a busy lock: at least, at most at first, and at most later.
const SHORTEST: Duration = Duration::from_micros(500);
const SHORT: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_millis(40);

/// Keys of an ordinary write to one task.
pub fn task_keys(task: &TaskId) -> Vec<String> {
    vec![format!("events_{task}"), format!("tasks_{task}")]
}

/// Keys of a write that creates, archives or unarchives a task.
pub fn lifecycle_keys(task: &TaskId) -> Vec<String> {
    vec!["events__lifecycle".to_owned(), format!("events_{task}"), format!("tasks_{task}")]
}

/// Held locks. Dropping releases them in reverse order.
#[derive(Debug)]
pub struct Locks {
    held: Vec<File>,
}

#[derive(Debug)]
pub enum LockError {
    /// Somebody else kept this key to the end of our patience.
    Timeout {
        key: String,
    },
    Io(io::Error),
}

/// Takes all keys, or none.
pub fn acquire(layout: &Layout, keys: &[String]) -> Result<Locks, LockError> {
    acquire_within(layout, keys, PATIENCE)
}

/// Takes all keys, or none; zero patience means one attempt.
pub fn acquire_within(
    layout: &Layout,
    keys: &[String],
    patience: Duration,
) -> Result<Locks, LockError> {
    let deadline = Instant::now() + patience;
    let mut sorted: Vec<&String> = keys.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut locks = Locks { held: Vec::with_capacity(sorted.len()) };
    for key in sorted {
        locks.held.push(take(layout, key, deadline)?);
    }
    Ok(locks)
}

/// Polls with a fresh open each time. A blocking `flock` would wait on an inode that some versions of Python's
/// lock library delete on release, and two processes would then hold "the" lock.
fn take(layout: &Layout, key: &str, deadline: Instant) -> Result<File, LockError> {
    let begin = Instant::now();
    loop {
        match attempt(layout, key).map_err(LockError::Io)? {
            Attempt::Taken(file) => return Ok(file),
            Attempt::Deleted => {}
            Attempt::Busy => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(LockError::Timeout { key: key.to_owned() });
                }
                sleep(pause(begin.elapsed()).min(left));
            }
        }
    }
}

enum Attempt {
    Taken(File),
    Busy,
    Deleted,
}

fn attempt(layout: &Layout, key: &str) -> io::Result<Attempt> {
    let file = open(layout, key)?;
    match file.try_lock() {
        Ok(()) if file.metadata()?.nlink() == 0 => Ok(Attempt::Deleted),
        Ok(()) => Ok(Attempt::Taken(file)),
        Err(TryLockError::WouldBlock) => Ok(Attempt::Busy),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {
            Ok(Attempt::Deleted)
        }
        Err(TryLockError::Error(error)) => Err(unusable(file.path(), &error)),
    }
}

fn open(layout: &Layout, key: &str) -> io::Result<File> {
    let path = layout.locks().join(format!("{key}.lock"));
    let mut options = fs_err::OpenOptions::new();
    options.read(true).mode(0o666).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let mut writable = options.clone();
    writable.write(true);
    match writable.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            owner::make_dirs(&layout.locks(), 0o777)?;
            let made = writable.create(true).truncate(false).open(&path)?;
            owner::inherit(made.file(), &path);
            Ok(made)
        }
        // Made by another user, such as root. A descriptor for reading carries a lock too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            options.open(&path).map_err(|_| error)
        }
        other => other,
    }
}

/// Without `flock`, Python falls back to locks that mean something else. Two tools that do not see each other's
/// locks would damage the data, so we refuse.
fn unusable(path: &Path, error: &io::Error) -> io::Error {
    let unsupported =
        [libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOLCK].map(Some).contains(&error.raw_os_error());
    let kind = error.kind();
    let why = if unsupported || kind == io::ErrorKind::Unsupported {
        format!("the file system of `{}` has no file locks (flock): {error}", path.display())
    } else {
        format!("failed to lock `{}`: {error}", path.display())
    };
    io::Error::new(kind, why)
}

/// A write holds a lock for less than a millisecond or so, so the first looks come soon; whoever has waited for long waits for
/// something slow. At random, so that waiters do not march in step, and never without a gap between two writes: one in
/// which the Python tool, which looks every 50 ms, finds the lock free.
fn pause(waited: Duration) -> Duration {
    let longest = (SHORT + waited / 16).min(LONG);
    let range = u64::try_from(longest.saturating_sub(SHORTEST).as_micros()).unwrap_or(u64::MAX);
    SHORTEST + Duration::from_micros(RandomState::new().hash_one(()) % range.max(1))
}

impl Drop for Locks {
    fn drop(&mut self) {
        while let Some(file) = self.held.pop() {
            // Unlocked before it is closed: a child between its fork and its exec still has a copy of the
            // descriptor. Where unlocking fails, closing is all that is left.
            drop(file.unlock());
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Timeout { key } => Self::new(
                Code::LockTimeout,
                format!("another process holds the lock '{key}' of this project for too long"),
            )
            .hint("try again; if it stays, `fuser -v .lattice/locks/*.lock` names who holds it"),
            LockError::Io(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn is_free(layout: &Layout, name: &str) -> bool {
        acquire_within(layout, &keys(&[name]), Duration::ZERO).is_ok()
    }

    #[test]
    fn held_until_dropped_and_never_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        let locks = acquire(&layout, &keys(&["b", "a", "b"])).unwrap();
        assert!(!is_free(&layout, "a") && !is_free(&layout, "b") && is_free(&layout, "c"));
        drop(locks);
        assert!(is_free(&layout, "a") && is_free(&layout, "b"));
        assert!(layout.locks().join("a.lock").exists());
    }

    #[test]
    fn a_timeout_names_the_key_and_lets_go_of_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        let _held = acquire(&layout, &keys(&["b"])).unwrap();
        let error =
            acquire_within(&layout, &keys(&["a", "b"]), Duration::from_millis(30)).unwrap_err();
        assert!(matches!(&error, LockError::Timeout { key } if key == "b"));
        assert!(is_free(&layout, "a"));
        assert_eq!(Failure::from(error).code(), Code::LockTimeout);
    }

    #[test]
    fn waiters_neither_spin_nor_sleep_long() {
        for _ in 0..1000 {
            let (first, last) = (pause(Duration::ZERO), pause(PATIENCE));
            assert!(SHORTEST <= first && first <= SHORT, "{first:?}");
            assert!(SHORTEST <= last && last <= LONG, "{last:?}");
        }
    }

    #[test]
    fn a_lock_on_a_deleted_file_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        let _old = acquire(&layout, &keys(&["a"])).unwrap();
        fs_err::remove_file(layout.locks().join("a.lock")).unwrap();
        let _new = acquire_within(&layout, &keys(&["a"]), Duration::ZERO).unwrap();
        assert!(!is_free(&layout, "a"));
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        fs_err::create_dir_all(layout.locks()).unwrap();
        fs_err::os::unix::fs::symlink(dir.path().join("victim"), layout.locks().join("a.lock"))
            .unwrap();
        assert!(matches!(acquire(&layout, &keys(&["a"])), Err(LockError::Io(_))));
        assert!(!dir.path().join("victim").exists());
    }

    #[test]
    fn many_threads_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _locks = acquire(&layout, &keys(&["a", "b"])).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                });
            }
        });
    }
}
