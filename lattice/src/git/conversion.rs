//! What decides, beside the commit, how git writes its files: configuration and attributes. Two checkouts of one
//! commit are the same if these are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::command;
use super::repository::Repository;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// Sections that no checkout reads; they change whenever somebody makes a branch.
const UNREAD: &[&str] =
    &["alias.", "branch.", "color.", "credential.", "gui.", "pull.", "push.", "remote.", "user."];

pub struct Conversion {
    /// A hash of everything: equal or not is all that can be asked of it.
    pub fingerprint: String,
    /// Whether a program of the user's may write what is checked out.
    pub has_filters: bool,
}

/// `None`: this git does not say it, or its checkouts are sparse.
pub fn of(h: &mut dyn Helpers, repo: &Repository) -> Result<Option<Conversion>> {
    let mut git = command::git(&repo.top);
    git.args(["config", "--list", "-z"]);
    let listed = command::checked(h, git, None, "cannot read git's configuration")?;
    let mut hash = Sha256::new();
    let mut conversion = Conversion { fingerprint: String::new(), has_filters: false };
    for line in listed.split(|byte| *byte == 0) {
        if UNREAD.iter().any(|section| line.starts_with(section.as_bytes())) {
            continue;
        }
        if line.starts_with(b"core.sparsecheckout\n") && line != b"core.sparsecheckout\nfalse" {
            return Ok(None);
        }
        conversion.has_filters |= line.starts_with(b"filter.");
        add(&mut hash, line);
    }
    let mut git = command::git(&repo.top);
    git.args(["var", "-l"]);
    let variables = command::checked(h, git, None, "cannot find git's attributes")?;
    let Some(system) = path_in(&variables, b"GIT_ATTR_SYSTEM=") else { return Ok(None) };
    let global = path_in(&variables, b"GIT_ATTR_GLOBAL=");
    for path in [Some(repo.common_dir.join("info/attributes")), Some(system), global] {
        let content = path.and_then(|path| fs_err::read(path).ok()).unwrap_or_default();
        if conversion.has_filters && names_filter(&content) {
            return Ok(None);
        }
        add(&mut hash, &content);
    }
    conversion.fingerprint = format!("{:x}", hash.finalize());
    Ok(Some(conversion))
}

/// Also in a macro, and in a comment: it is asked in order to be in doubt.
pub fn names_filter(attributes: &[u8]) -> bool {
    attributes.windows(6).any(|window| window == b"filter")
}

pub fn is_attributes(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).file_name() == Some(OsStr::new(".gitattributes"))
}

/// The value of a variable (git-var(1)), of which the last counts: the configuration, which stands before them, may
/// hold lines that look like one.
fn path_in(variables: &[u8], name: &[u8]) -> Option<PathBuf> {
    let mut values = variables.split(|byte| *byte == b'\n').rev();
    values.find_map(|line| line.strip_prefix(name)).map(|path| OsStr::from_bytes(path).into())
}

fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update(part.len().to_le_bytes());
    hash.update(part);
}
