//! The refs under which runs have left work.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::command;
use crate::model::failure::Result;
use crate::model::ids::RunId;
use crate::process::helper::Helpers;

const PREFIX: &str = "refs/lattice/runs/";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRef {
    pub run: RunId,
    pub name: String,
    pub commit: String,
    pub committed_at: SystemTime,
}

/// All of them, in the order of their runs.
pub fn list(h: &mut dyn Helpers, top: &Path) -> Result<Vec<RunRef>> {
    let mut git = command::git(top);
    git.args(["for-each-ref", "--format=%(refname) %(objectname) %(committerdate:unix)", PREFIX]);
    let output = command::checked(h, git, None, "cannot list the refs of runs")?;
    let output = String::from_utf8_lossy(&output);
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let (name, commit) = (words.next()?, words.next()?);
        let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        Some(RunRef {
            run: RunId::parse(name.strip_prefix(PREFIX)?)?,
            name: name.to_owned(),
            commit: commit.to_owned(),
            committed_at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        })
    };
    Ok(output.lines().filter_map(parse).collect())
}

/// Only if it still names what was listed. The commits go with git's own garbage collection.
pub fn delete(h: &mut dyn Helpers, top: &Path, found: &RunRef) -> Result<()> {
    let mut git = command::git(top);
    git.args(["update-ref", "--no-deref", "-d", &found.name, &found.commit]);
    command::checked(h, git, None, &format!("cannot delete {}", found.name)).map(drop)
}
