//! Adding worktrees, finding and removing their entries.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::fixture::{Blocking, Project, write};
use crate::git::worktree::{New, add, entry, lock, remove_entry};
use crate::model::failure::{Code, Result};
use crate::process::helper::{HelperOutput, Helpers};

fn no_pause(_: Duration) {}

fn add_to(project: &Project, path: &Path) -> Result<()> {
    let new = New { path, commit: &project.head(), reason: "lattice ev_1" };
    add(&mut Blocking, &project.repository(), &new, &mut no_pause)
}

fn place(project: &Project, name: &str) -> PathBuf {
    project.dir.path().join(name)
}

#[test]
fn a_worktree_is_detached_and_locked_and_runs_no_hook() {
    let project = Project::new();
    let hook = project.top.join(".git/hooks/post-checkout");
    write(&hook, "#!/bin/sh\ntouch \"$(git rev-parse --git-common-dir)/hook-ran\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&hook, mode).unwrap();

    let path = place(&project, "wt-1");
    add_to(&project, &path).unwrap();
    assert_eq!(fs_err::read_to_string(path.join("a.txt")).unwrap(), "one\n");
    let list = project.git(&["worktree", "list", "--porcelain"]);
    assert!(list.contains("detached") && list.contains("locked lattice ev_1"), "{list}");
    assert!(!project.top.join(".git/hook-ran").exists());
    assert_eq!(
        entry(&project.repository().common_dir, &path).unwrap(),
        Some(project.top.join(".git/worktrees/wt-1"))
    );
}

#[test]
fn a_refused_add_is_a_worktree_error_and_leaves_nothing() {
    let project = Project::new();
    let path = place(&project, "wt-1");
    let mut pauses = 0;
    let failure = add(
        &mut Blocking,
        &project.repository(),
        &New { path: &path, commit: &"1".repeat(40), reason: "r" },
        &mut |_| {
            pauses += 1;
        },
    )
    .unwrap_err();
    assert_eq!((failure.code(), pauses), (Code::WorktreeError, 0));
    assert!(!path.exists());
    assert_eq!(entry(&project.repository().common_dir, &path).unwrap(), None);
}

/// Fails as if another git held a lock, `left` times.
struct Locked {
    left: u32,
}

impl Helpers for Locked {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        if self.left == 0 {
            return Blocking.run(command, stdin, limit);
        }
        self.left -= 1;
        let stderr = b"fatal: Unable to create '/r/.git/config.lock': File exists.\n".to_vec();
        Ok(HelperOutput { code: Some(128), stderr, ..HelperOutput::default() })
    }
}

#[test]
fn locks_of_other_gits_are_waited_for() {
    let project = Project::new();
    let path = place(&project, "wt-1");
    let mut pauses = Vec::new();
    let mut busy = Locked { left: 3 };
    add(
        &mut busy,
        &project.repository(),
        &New { path: &path, commit: "HEAD", reason: "r" },
        &mut |pause| pauses.push(pause),
    )
    .unwrap();
    assert_eq!(pauses.len(), 3);
    assert!(path.join("a.txt").exists());
}

#[test]
fn waiting_is_bounded() {
    let project = Project::new();
    let mut waited = Duration::ZERO;
    let mut busy = Locked { left: u32::MAX };
    let path = place(&project, "wt-1");
    let failure = add(
        &mut busy,
        &project.repository(),
        &New { path: &path, commit: "HEAD", reason: "r" },
        &mut |pause| waited += pause,
    )
    .unwrap_err();
    assert!(
        failure.message().ends_with("Unable to create '/r/.git/config.lock': File exists."),
        "{failure}"
    );
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(12), "{waited:?}");
}

#[test]
fn adds_in_parallel_all_succeed() {
    let project = Project::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (project, path) = (&project, place(&project, &format!("wt-{number}")));
            scope.spawn(move || {
                let mut sleep = |pause| std::thread::sleep(pause);
                add(
                    &mut Blocking,
                    &project.repository(),
                    &New { path: &path, commit: "HEAD", reason: "r" },
                    &mut sleep,
                )
                .unwrap();
            });
        }
    });
    assert_eq!(project.git(&["worktree", "list"]).lines().count(), 9);
}

#[test]
fn an_entry_of_another_path_is_not_ours() {
    let project = Project::new();
    add_to(&project, &place(&project, "wt-1")).unwrap();
    let common = project.repository().common_dir;
    assert_eq!(entry(&common, &place(&project, "elsewhere/wt-1")).unwrap(), None);
    assert_eq!(entry(&common, &place(&project, "wt-2")).unwrap(), None);
    write(&common.join("worktrees/wt-1/gitdir"), "/unplugged/wt-1/.git\n");
    assert_eq!(entry(&common, &place(&project, "wt-1")).unwrap(), None);
}

#[test]
fn an_entry_is_found_through_links_relative_paths_and_after_the_worktree() {
    let project = Project::new();
    let real = place(&project, "wt-1");
    add_to(&project, &real).unwrap();
    let common = project.repository().common_dir;
    let link = place(&project, "link");
    std::os::unix::fs::symlink(project.dir.path(), &link).unwrap();
    let expected = Some(common.join("worktrees/wt-1"));
    assert_eq!(entry(&common, &link.join("wt-1")).unwrap(), expected);
    write(&common.join("worktrees/wt-1/gitdir"), "../../../../wt-1/.git\n");
    assert_eq!(entry(&common, &real).unwrap(), expected);
    fs_err::remove_dir_all(&real).unwrap();
    assert_eq!(entry(&common, &real).unwrap(), expected);
}

#[test]
fn a_half_made_entry_is_found_by_its_name() {
    let project = Project::new();
    let common = project.repository().common_dir;
    let half = common.join("worktrees/wt-1");
    fs_err::create_dir_all(&half).unwrap();
    assert_eq!(entry(&common, &place(&project, "wt-1")).unwrap(), Some(half.clone()));
    for remains in ["", "\n", "\0\0\0\0"] {
        write(&half.join("gitdir"), remains);
        assert_eq!(entry(&common, &place(&project, "wt-1")).unwrap(), Some(half.clone()));
    }
}

#[test]
fn removal_takes_one_entry_and_leaves_the_others() {
    let project = Project::new();
    let path = place(&project, "wt-1");
    add_to(&project, &path).unwrap();
    add_to(&project, &place(&project, "wt-2")).unwrap();
    let common = project.repository().common_dir;
    // A user's worktree on a disk that is not plugged in: `git worktree prune` would forget it.
    fs_err::rename(place(&project, "wt-2"), place(&project, "unplugged")).unwrap();

    let ours = entry(&common, &path).unwrap().unwrap();
    lock(&ours, "kept: not saved").unwrap();
    assert!(project.git(&["worktree", "list", "--porcelain"]).contains("locked kept: not saved"));
    remove_entry(&ours).unwrap();
    remove_entry(&ours).unwrap();
    assert!(!ours.exists() && common.join("worktrees/wt-2/HEAD").exists());
    assert_eq!(entry(&common, &path).unwrap(), None);
}

#[test]
fn a_removal_that_was_cut_short_is_finished_by_the_next() {
    let project = Project::new();
    let path = place(&project, "wt-1");
    add_to(&project, &path).unwrap();
    let common = project.repository().common_dir;
    let ours = entry(&common, &path).unwrap().unwrap();
    for gone in ["HEAD", "index", "commondir", "gitdir"] {
        fs_err::remove_file(ours.join(gone)).unwrap();
        assert_eq!(entry(&common, &path).unwrap(), Some(ours.clone()), "after {gone}");
    }
    remove_entry(&ours).unwrap();
    assert!(!ours.exists());
}

#[test]
fn only_entries_below_worktrees_are_removed() {
    let project = Project::new();
    assert!(remove_entry(&project.top.join(".git")).is_err());
    assert!(project.top.join(".git/HEAD").exists());
}

#[test]
fn an_entry_that_cannot_be_looked_at_is_no_missing_one() {
    let project = Project::new();
    let common = project.repository().common_dir;
    write(&common.join("worktrees"), "a file");
    assert!(entry(&common, &place(&project, "wt-1")).is_err());
}
