//! The other side of a task lock: flock(2), and a lock file that is deleted on release, as filelock 3.24.0 does it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use fs_err as fs;
use fs_err::{File, OpenOptions};

/// Held as long as the value lives.
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Opened anew for each attempt, because whoever held it may have deleted the file.
    pub fn acquire(path: &str) -> io::Result<Self> {
        Self::take(path, |file| file.file().try_lock().is_ok())
    }

    pub fn shared(path: &str) -> io::Result<Self> {
        Self::take(path, |file| file.file().try_lock_shared().is_ok())
    }

    fn take(path: &str, attempt: impl Fn(&File) -> bool) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            if attempt(&file) && file.metadata()?.nlink() != 0 {
                return Ok(Self { file, path: path.into() });
            }
            drop(file);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Deleted while still locked: whoever has it open waits for an inode that nobody will ever lock again.
        let removed = fs::remove_file(&self.path);
        let unlocked = self.file.file().unlock();
        assert!(removed.is_ok() && unlocked.is_ok(), "{removed:?} {unlocked:?}");
    }
}

/// `COUNT:LOCK:FILE`
pub fn rewrite_locked(value: &str) -> io::Result<()> {
    let mut parts = value.splitn(3, ':');
    let (Some(count), Some(lock), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(io::Error::other("expected COUNT:LOCK:FILE"));
    };
    for _ in 0..count.parse::<usize>().map_err(io::Error::other)? {
        let held = Lock::acquire(lock)?;
        let bytes = fs::read(file)?;
        // Empty for a moment: a reader that does not respect the lock would see that, too.
        fs::write(file, b"")?;
        thread::sleep(Duration::from_millis(1));
        fs::write(file, bytes)?;
        drop(held);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
