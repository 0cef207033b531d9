//! Uncommitted work: what is saved, what is left out on purpose.

use std::path::PathBuf;

use super::fixture::{user_git, write};
use super::run::{NOTHING, Run};
use crate::git::salvage::preserved_ref;

#[test]
fn changes_untracked_files_and_deletions_are_saved_ignored_files_are_not() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    run.write("new/dir/file", "three\n");
    run.write("debug.log", "ignored");
    fs_err::remove_file(run.worktree.join("sub/prompt.md")).unwrap();
    run.saved();
    assert_eq!(run.paths(), [".gitignore", "a.txt", "new/dir/file"]);
    assert_eq!(run.preserved("a.txt"), "two");
    assert_eq!(run.parents(), [run.base.as_str()]);
    let words =
        run.project.git(&["log", "-1", "--format=%an <%ae> %cn%n%B", &preserved_ref(&run.id)]);
    assert!(words.starts_with("lattice <lattice@localhost> lattice\n"), "{words}");
    assert!(words.contains(&format!("Run: {}\nBase: {}", run.id, run.base)), "{words}");
    let date = run.project.git(&["log", "-1", "--format=%ct", &preserved_ref(&run.id)]);
    assert!(date.parse::<u64>().unwrap() > 1_700_000_000);
}

#[test]
fn an_add_that_was_killed_leaves_nothing_to_save() {
    let run = Run::new();
    let entry = run.entry().unwrap();
    for gone in ["a.txt", ".gitignore", "sub/prompt.md"] {
        fs_err::remove_file(run.worktree.join(gone)).unwrap();
    }
    fs_err::remove_dir(run.worktree.join("sub")).unwrap();
    fs_err::remove_file(entry.join("index")).unwrap();
    assert_eq!(run.save(), NOTHING);
    fs_err::remove_file(entry.join("HEAD")).unwrap();
    assert_eq!(run.save(), NOTHING);
}

#[test]
fn an_emptied_worktree_is_a_change() {
    let run = Run::new();
    for gone in ["a.txt", ".gitignore", "sub/prompt.md", ".git"] {
        fs_err::remove_file(run.worktree.join(gone)).unwrap();
    }
    fs_err::remove_dir(run.worktree.join("sub")).unwrap();
    run.saved();
    assert!(run.paths().is_empty());
}

#[test]
fn s7_leftover_locks_are_in_nobodys_way() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    write(&run.entry().unwrap().join("index.lock"), "");
    write(&run.project.top.join(".git").join(format!("{}.lock", preserved_ref(&run.id))), "");
    run.saved();
}

#[test]
fn a_worker_cannot_hide_changes_in_its_index() {
    let run = Run::new();
    run.git(&["update-index", "--skip-worktree", "a.txt"]);
    run.git(&["update-index", "--assume-unchanged", "sub/prompt.md"]);
    run.write("a.txt", "two\n");
    run.write("sub/prompt.md", "other\n");
    run.saved();
    assert_eq!(
        (run.preserved("a.txt"), run.preserved("sub/prompt.md")),
        ("two".into(), "other".into())
    );
}

#[test]
fn a_replaced_git_file_changes_nothing() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    run.write(".git", "gitdir: /nowhere\n");
    run.saved();
    fs_err::remove_file(run.worktree.join(".git")).unwrap();
    run.saved();
    run.git(&["init", "-q"]);
    run.commit("b.txt");
    assert!(run.veto().contains("made a repository of its own"));
    assert_eq!(run.preserved("b.txt"), "b.txt");
}

#[test]
fn excluded_files_count_as_ignored() {
    let run = Run::new();
    write(&run.project.top.join(".git/info/exclude"), "scratch/\n");
    run.write("scratch/x", "x");
    assert_eq!(run.save(), NOTHING);
    run.write("y", "y");
    run.saved();
    assert!(
        run.paths().contains(&"y".to_owned()) && !run.paths().contains(&"scratch/x".to_owned())
    );
}

#[test]
fn carried_paths_are_left_out() {
    let mut run = Run::new();
    run.write(".env", "SECRET=1\n");
    run.write("cache/deep/x", "x");
    run.write("debug.log", "ignored and carried");
    run.write("*literal*", "kept out");
    std::os::unix::fs::symlink("/usr", run.worktree.join("node_modules")).unwrap();
    run.exclude = [".env", "cache", "debug.log", "node_modules", "*literal*", "not/there"]
        .map(PathBuf::from)
        .into();
    assert_eq!(run.save(), NOTHING);
    run.git(&["add", "--force", ".env", "cache"]);
    assert_eq!(run.save(), NOTHING);
    run.write("b", "b");
    run.saved();
    assert_eq!(run.paths(), [".gitignore", "a.txt", "b", "sub/prompt.md"]);
}

#[test]
fn what_was_staged_by_force_is_saved() {
    let run = Run::new();
    run.write("trace.log", "wanted");
    run.git(&["add", "--force", "trace.log"]);
    run.saved();
    assert_eq!(run.preserved("trace.log"), "wanted");
}

#[test]
fn odd_names_links_and_modes_survive() {
    let run = Run::new();
    let long = "x".repeat(255);
    run.write("new\nline", "1");
    run.write(" leading and \"quotes\"\t", "2");
    run.write(&long, "3");
    run.write("-n", "4");
    std::os::unix::fs::symlink("a.txt", run.worktree.join("link")).unwrap();
    let bytes: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe");
    fs_err::write(run.worktree.join(bytes), "5").unwrap();
    run.saved();
    let listing = run.project.git(&[
        "ls-tree",
        "-r",
        "-z",
        "--format=%(objectmode) %(objectsize)",
        &preserved_ref(&run.id),
    ]);
    assert_eq!(listing.matches('\0').count(), 3 + 6, "{listing:?}");
    assert!(listing.contains("120000 5"));
    assert_eq!(run.preserved(&long), "3");
}

#[test]
fn conflicts_are_saved_as_they_lie_there() {
    let run = Run::new();
    run.write("a.txt", "left\n");
    run.git(&["commit", "-qam", "left"]);
    let left = run.git(&["rev-parse", "HEAD"]);
    run.git(&["checkout", "-q", "--detach", &run.base]);
    run.write("a.txt", "right\n");
    run.git(&["commit", "-qam", "right"]);
    assert!(!user_git(&run.worktree, &["merge", &left]).output().unwrap().status.success());
    run.saved();
    assert!(run.preserved("a.txt").contains("<<<<<<<"));
    assert!(run.parents().contains(&left));
}

#[test]
fn a_sparse_checkout_loses_nothing() {
    let run = Run::new();
    run.git(&["sparse-checkout", "set", "--no-cone", "/a.txt"]);
    assert!(!run.worktree.join("sub").exists());
    assert_eq!(run.save(), NOTHING);
    run.write("outside/new", "x");
    run.saved();
    assert_eq!(run.paths(), [".gitignore", "a.txt", "outside/new", "sub/prompt.md"]);
}
