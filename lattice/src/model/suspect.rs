//! What was perhaps in the way of a run that failed, by its last lines: a sandbox, or a limit of which the kernel tells
//! with an error that a program may handle, and not with a signal.

use super::engine::class::Class;
use super::run::Spec;

/// Errors as strerror(3) says them, of glibc and of musl, or as Go or Node do.
const DENIED: &[&str] = &["Permission denied", "permission denied", "EACCES"];
const OPEN_FILES: &[&str] =
    &["Too many open files", "No file descriptors available", "too many open files", "EMFILE"];
const FILE_SIZE: &[&str] = &["File too large", "file too large", "EFBIG"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    Sandbox,
    OpenFiles(u64),
    /// In bytes.
    FileSize(u64),
}

impl Suspect {
    pub fn of(spec: &Spec, lines: &str) -> Option<Self> {
        let says = |words: &[&str]| words.iter().any(|word| lines.contains(word));
        let limits = &spec.limits;
        if spec.is_sandboxed() && says(DENIED) {
            Some(Self::Sandbox)
        } else if says(OPEN_FILES) && limits.open_files.is_some() {
            limits.open_files.map(Self::OpenFiles)
        } else if says(FILE_SIZE) {
            limits.file_size_bytes.map(Self::FileSize)
        } else {
            None
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::Sandbox => Class::Permissions,
            Self::OpenFiles(_) | Self::FileSize(_) => Class::Limit,
        }
    }

    pub(super) fn sentence(self) -> String {
        let way = "was perhaps in its way: see its log";
        match self {
            Self::Sandbox => "its sandbox has perhaps denied it something: see its log".to_owned(),
            Self::OpenFiles(count) => format!("its limit of {count} open files {way}"),
            Self::FileSize(bytes) => format!("its limit of {} MB for a file {way}", bytes >> 20),
        }
    }
}
