//! A directory with a file for each task, of which very many are asked for: it is opened once, so that the way to it is
//! walked once, and listed once, so that what is not there need not be looked for.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};

use super::scan;

/// One for each name at most, in 128 kB whatever the number of tasks. Of a name in so many that is not there, one in a
/// hundred is looked for in a directory with ten thousand others.
const BITS: usize = 1 << 20;
const WORD: usize = u64::BITS as usize;

pub(super) struct Dir {
    path: PathBuf,
    /// Without it a file is found by its whole path.
    handle: OnceLock<Option<OwnedFd>>,
    listed: OnceLock<Listed>,
}

impl Dir {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, handle: OnceLock::new(), listed: OnceLock::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is such a file, as [`Path::exists`](Path::exists) says it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.may_have(name) && self.path(name).exists()
    }

    /// `false`: there was no such file when the first one was asked for.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.listed.get_or_init(|| Listed::of(&self.path)).may_have(name)
    }

    /// The content of a file, as [`scan::look_into`] gives it.
    pub(super) fn look_into<T>(&self, name: &str, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match self.open(name, OFlags::empty()) {
            Some(file) => scan::look_into_file(&file, look)
                .map_err(|error| scan::unread(&self.path(name), &error)),
            // Whose error says which path.
            None => scan::look_into(&self.path(name), look),
        }
    }

    /// A regular file that is no link to one; `None` does not say that there is none.
    pub(super) fn open_regular(&self, name: &str) -> Option<File> {
        let file = self.open(name, OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let is_regular = |file: &File| {
            fstat(file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
        };
        Some(file).filter(is_regular)
    }

    fn open(&self, name: &str, flags: OFlags) -> Option<File> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        let whole = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let handle = self.handle.get_or_init(|| open(&self.path, whole, Mode::empty()).ok());
        let found = openat(handle.as_ref()?, name, flags, Mode::empty()).ok()?;
        Some(found.into())
    }
}

/// The names in a directory, as well as a fixed size allows: a bit for the hash of each.
enum Listed {
    Nothing,
    Names(Vec<u64>),
    Unknown,
}

impl Listed {
    fn of(path: &Path) -> Self {
        let entries = match fs_err::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Nothing,
            Err(_) => return Self::Unknown,
        };
        let mut bits = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else { return Self::Unknown };
            bits.resize(BITS / WORD, 0);
            let bit = bit(entry.file_name().as_encoded_bytes());
            bits[bit / WORD] |= 1 << (bit % WORD);
        }
        if bits.is_empty() { Self::Nothing } else { Self::Names(bits) }
    }

    fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Names(bits) => {
                let bit = bit(name.as_bytes());
                bits[bit / WORD] & 1 << (bit % WORD) != 0
            }
            Self::Unknown => true,
        }
    }
}

fn bit(name: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    usize::try_from(hasher.finish() % BITS as u64).expect("it is below a number of that type")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_found_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..500).map(|number| format!("n{number}")).collect();
        for name in names.iter().step_by(2) {
            fs_err::write(dir.path().join(name), name).unwrap();
        }
        let found = Dir::at(dir.path().to_owned());
        for (number, name) in names.iter().enumerate() {
            assert_eq!(found.has(name), number % 2 == 0, "{name}");
            let content = found.look_into(name, <[u8]>::to_vec);
            match number % 2 {
                0 => assert_eq!(content.unwrap(), name.as_bytes()),
                _ => assert!(content.unwrap_err().to_string().contains(name)),
            }
        }
        // What is gone since then is not there, although it was listed.
        fs_err::remove_file(dir.path().join("n0")).unwrap();
        assert!(found.may_have("n0") && !found.has("n0"));
    }

    #[test]
    fn a_directory_that_is_missing_has_no_files() {
        let dir = Dir::at("/nonexistent/directory".into());
        assert!(!dir.may_have("n") && !dir.has("n"));
        assert!(dir.look_into("n", <[u8]>::len).is_err());
        assert!(dir.open_regular("n").is_none());
    }

    #[test]
    fn what_cannot_be_listed_may_have_anything() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs_err::write(&file, "").unwrap();
        assert!(Dir::at(file).may_have("n"));
    }

    #[test]
    fn links_pipes_and_directories_are_not_regular() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs_err::write(at("regular"), "1").unwrap();
        fs_err::os::unix::fs::symlink("regular", at("link")).unwrap();
        fs_err::create_dir(at("dir")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found = Dir::at(dir.path().to_owned());
        let is_regular = |name: &&str| found.open_regular(name).is_some();
        let regular: Vec<&str> =
            ["regular", "link", "dir", "pipe"].into_iter().filter(is_regular).collect();
        assert_eq!(regular, ["regular"]);
    }
}
