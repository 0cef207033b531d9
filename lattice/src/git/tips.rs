//! Commits that a worktree's entry names and nothing else does: left behind by `checkout`, `reset`, `rebase`.

use std::collections::BTreeSet;
use std::path::Path;

use super::command;
use super::plain;
use super::repository::is_object_name;
use super::salvage::Points;
use super::scene::Scene;
use crate::model::failure::Result;
use crate::process::helper::Helpers;

/// Files of an entry whose words may be commits (gitrepository-layout(5), git-rebase(1)).
const NAMING: &[&str] = &[
    "logs/HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "rebase-merge/orig-head",
    "rebase-merge/autostash",
    "rebase-apply/orig-head",
    "rebase-apply/autostash",
];

/// The names of all commits that the entry mentions, whether they still exist or not.
pub(super) fn named(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let Some(entry) = scene.entry else { return Ok(names) };
    for file in NAMING {
        read_names(&entry.join(file), &mut names);
    }
    read_refs(&entry.join("refs"), &mut names);
    if entry.join("reftable").exists() {
        let reflog = scene.ask(
            h,
            "cannot read the reflog",
            &["reflog", "show", "--format=%H", "HEAD", "--"],
        )?;
        collect(&reflog, &mut names);
    }
    Ok(names)
}

/// A file that is missing or cannot be read names nothing.
fn read_names(path: &Path, names: &mut BTreeSet<String>) {
    if let Ok(content) = plain::read(path) {
        collect(&content, names);
    }
}

/// Of each line the first two words: a reflog has the old and the new name there, everything else only one.
fn collect(content: &[u8], names: &mut BTreeSet<String>) {
    for line in content.split(|byte| *byte == b'\n') {
        for word in line.split(u8::is_ascii_whitespace).take(2) {
            let Ok(word) = std::str::from_utf8(word) else { continue };
            if is_object_name(word) && word.bytes().any(|digit| digit != b'0') {
                names.insert(word.to_owned());
            }
        }
    }
}

/// Refs that belong to this worktree alone: `refs/bisect`, `refs/rewritten`, `refs/worktree`.
fn read_refs(directory: &Path, names: &mut BTreeSet<String>) {
    let Ok(children) = fs_err::read_dir(directory) else { return };
    for child in children.flatten() {
        match child.file_type() {
            Ok(kind) if kind.is_dir() => read_refs(&child.path(), names),
            Ok(kind) if kind.is_file() => read_names(&child.path(), names),
            _ => {}
        }
    }
}

/// The tips of what would be lost with the entry: not reachable from where the run began or stands, nor from a
/// branch, tag or remote branch, which all stay.
pub(super) fn left_behind(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    points: &Points,
) -> Result<Vec<String>> {
    if points.named.iter().all(|name| *name == points.head.name || *name == points.base.name) {
        return Ok(Vec::new());
    }
    let mut git = scene.git();
    git.args(["rev-list", "--parents", "--stdin", "--not", "--branches", "--tags", "--remotes"]);
    let mut revisions = points.named.join("\n");
    for reached in [&points.head.name, &points.base.name] {
        revisions.push_str("\n^");
        revisions.push_str(reached);
    }
    revisions.push('\n');
    let output = command::checked(
        h,
        git,
        Some(revisions.into_bytes()),
        "cannot look for commits left behind",
    )?;
    let output = String::from_utf8_lossy(&output);
    let mut tips: BTreeSet<&str> =
        output.lines().filter_map(|line| line.split(' ').next()).collect();
    for parent in output.lines().flat_map(|line| line.split(' ').skip(1)) {
        tips.remove(parent);
    }
    Ok(tips.into_iter().map(str::to_owned).collect())
}
