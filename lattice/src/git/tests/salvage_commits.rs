//! Commits of a worker: kept under the ref, once, by whichever ender.

use super::fixture::write;
use super::run::{NOTHING, Run};
use crate::git::worktree::remove_entry;

#[test]
fn nothing_changed_is_nothing_saved() {
    let run = Run::new();
    run.write("debug.log", "ignored");
    assert_eq!(run.save(), NOTHING);
    assert_eq!(run.project.git(&["for-each-ref", "refs/lattice"]), "");
}

#[test]
fn a_second_ender_arrives_at_the_same_commit() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    run.saved();
    let first = run.preserved_name();
    run.saved();
    assert_eq!(run.preserved_name(), first);
    // Killed in the middle of the end: the worktree is gone, then its entry.
    run.commit("late");
    fs_err::remove_dir_all(&run.worktree).unwrap();
    run.saved();
    remove_entry(&run.entry().unwrap()).unwrap();
    run.saved();
    assert_eq!(run.preserved_name(), first);
}

#[test]
fn what_an_earlier_ender_kept_is_not_dropped() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    run.saved();
    let first = run.preserved_name();
    run.write("a.txt", "three\n");
    run.saved();
    assert_eq!(run.parents(), [run.base.as_str(), first.as_str()]);
    assert_eq!(run.preserved("a.txt"), "three");
    run.write("a.txt", "one\n");
    let second = run.preserved_name();
    run.saved();
    assert_eq!(run.preserved_name(), second);
}

#[test]
fn commits_without_changes_are_kept_as_they_are() {
    let run = Run::new();
    let made = run.commit("b.txt");
    run.saved();
    assert_eq!(run.preserved_name(), made);
}

#[test]
fn changes_go_on_top_of_commits() {
    let run = Run::new();
    let made = run.commit("b.txt");
    run.write("c.txt", "c");
    run.saved();
    assert_eq!(run.parents(), [made.as_str()]);
    assert_eq!(run.preserved("c.txt"), "c");
}

#[test]
fn commits_left_behind_by_checkout_become_parents() {
    let run = Run::new();
    run.commit("first");
    let left = run.commit("second");
    run.git(&["checkout", "-q", "--detach", &run.base]);
    let other = run.commit("third");
    run.git(&["checkout", "-q", "--detach", &run.base]);
    run.saved();
    let mut expected = vec![left, other];
    expected.sort();
    expected.insert(0, run.base.clone());
    assert_eq!(run.parents(), expected);
}

#[test]
fn commits_on_a_branch_or_reset_away_are_told_apart() {
    let run = Run::new();
    run.git(&["checkout", "-qb", "topic"]);
    run.commit("kept by its branch");
    run.git(&["checkout", "-q", "--detach", &run.base]);
    assert_eq!(run.save(), NOTHING);
    run.git(&["branch", "-qD", "topic"]);
    run.saved();
}

#[test]
fn refs_and_autostashes_of_the_worktree_alone_are_kept() {
    let run = Run::new();
    let lone = run.commit("lone");
    run.git(&["checkout", "-q", "--detach", &run.base]);
    let entry = run.entry().unwrap();
    fs_err::remove_file(entry.join("logs/HEAD")).unwrap();
    fs_err::remove_file(entry.join("ORIG_HEAD")).unwrap();
    assert_eq!(run.save(), NOTHING);
    write(&entry.join("rebase-merge/autostash"), &lone);
    run.saved();
    assert_eq!(run.parents(), [run.base.clone(), lone]);
}

#[test]
fn m8_a_worktree_deleted_by_hand_still_gives_its_commits() {
    let run = Run::new();
    let made = run.commit("b.txt");
    fs_err::remove_dir_all(&run.worktree).unwrap();
    run.saved();
    assert_eq!(run.preserved_name(), made);
}

#[test]
fn without_worktree_and_entry_there_is_nothing() {
    let run = Run::new();
    fs_err::remove_dir_all(&run.worktree).unwrap();
    assert_eq!(run.save(), NOTHING);
    remove_entry(&run.entry().unwrap()).unwrap();
    assert_eq!(run.save(), NOTHING);
}

#[test]
fn branches_of_the_worker_and_orphans_are_saved() {
    let run = Run::new();
    run.git(&["checkout", "-q", "--orphan", "fresh"]);
    run.write("only.txt", "only");
    run.saved();
    assert_eq!(run.parents(), [run.base.as_str()]);
    assert_eq!(run.preserved("only.txt"), "only");
}

#[test]
fn hooks_and_signing_stay_out() {
    let run = Run::new();
    run.project.git(&["config", "commit.gpgSign", "true"]);
    run.project.git(&["config", "gpg.program", "/bin/false"]);
    run.project.git(&["config", "core.bare", "false"]);
    let hook = run.project.top.join(".git/hooks/reference-transaction");
    write(&hook, "#!/bin/sh\nexit 1\n");
    fs_err::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    run.write("a.txt", "two\n");
    run.saved();
}
