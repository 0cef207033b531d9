//! How far the history has gone on since a commit.

use std::path::Path;

use super::command;
use crate::model::drift::Drift;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// `None` where git does not know the commit or HEAD.
pub fn of(h: &mut dyn Helpers, directory: &Path, commit: &str) -> Result<Option<Drift>> {
    if commit.len() < 40 || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut git = command::git(directory);
    git.args(["rev-list", "--left-right", "--count"]).arg(format!("{commit}...HEAD")).arg("--");
    let output = command::run(h, git, None, "cannot compare commits")?;
    Ok(output.success().then(|| parse(&output.stdout)).flatten())
}

fn parse(stdout: &[u8]) -> Option<Drift> {
    let (ahead, behind) = str::from_utf8(stdout).ok()?.trim().split_once('\t')?;
    Some(match (behind.parse().ok()?, ahead.parse().ok()?) {
        (behind, 0) => Drift::Behind(behind),
        (behind, ahead) => Drift::Apart { behind, ahead },
    })
}
