//! What cannot be saved keeps the worktree.

use std::io;
use std::process::Command;
use std::time::Duration;

use super::fixture::{Blocking, Project, git, write};
use super::run::{Faulty, NOTHING, Run, failing};
use crate::git::salvage::preserved_ref;
use crate::git::worktree::remove_entry;
use crate::process::helper::{HelperOutput, Helpers};

#[test]
fn a_lost_entry_saves_files_and_keeps_the_worktree() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    remove_entry(&run.entry().unwrap()).unwrap();
    let salvage = run.save();
    assert!(salvage.veto.unwrap().contains("entry for the worktree is gone"));
    assert_eq!(salvage.preserved_ref, Some(preserved_ref(&run.id)));
    assert_eq!(run.preserved("a.txt"), "two");
}

#[test]
fn embedded_repositories_are_a_veto() {
    let run = Run::new();
    let nested = run.worktree.join("nested");
    fs_err::create_dir(&nested).unwrap();
    git(&nested, &["init", "-q"]);
    run.write("a.txt", "two\n");
    assert!(
        run.veto()
            .starts_with("cannot save the changes: 'nested/' does not have a commit checked out")
    );
    write(&nested.join("x"), "x");
    git(&nested, &["add", "x"]);
    git(&nested, &["commit", "-qm", "x"]);
    let salvage = run.save();
    assert_eq!(
        salvage.veto.unwrap(),
        "nested is a repository of its own, and its commits are not saved"
    );
    assert!(salvage.preserved_ref.is_some());
    assert_eq!(run.preserved("a.txt"), "two");
}

#[test]
fn a_repository_made_in_a_tracked_directory_is_a_veto() {
    let run = Run::new();
    git(&run.worktree.join("sub"), &["init", "-q"]);
    assert_eq!(run.veto(), "sub is a repository of its own");
}

#[test]
fn f4_failures_of_git_are_vetoes() {
    let run = Run::new();
    run.commit("b.txt");
    run.write("a.txt", "two\n");
    let denied = "error: open(\"x\"): Permission denied\nfatal: adding files failed\n";
    let salvage = run.save_with(&mut failing("add", 128, denied));
    assert_eq!(salvage.veto.unwrap(), "cannot save the changes: open(\"x\"): Permission denied");
    assert!(salvage.preserved_ref.is_some(), "commits are saved even so");

    let warning = "warning: could not open directory 'secret/': Permission denied\n";
    let veto = run.save_with(&mut failing("add", 0, warning)).veto.unwrap();
    assert_eq!(
        veto,
        "cannot save the changes: could not open directory 'secret/': Permission denied"
    );

    for subcommand in ["cat-file", "read-tree", "diff-index", "ls-files", "write-tree", "rev-list"]
    {
        run.git(&["reset", "-q", "--hard", &run.base]);
        run.write("a.txt", "two\n");
        let full = failing(subcommand, 128, "fatal: write error: No space left on device\n");
        let salvage = run.save_with(&mut { full });
        assert!(
            salvage.veto.is_some_and(|veto| veto.ends_with("No space left on device")),
            "{subcommand}"
        );
    }
    for subcommand in ["commit-tree", "update-ref", "diff-tree"] {
        let run = Run::new();
        run.write("a.txt", "two\n");
        let salvage = run.save_with(&mut failing(subcommand, 128, "fatal: no\n"));
        assert!(salvage.veto.is_some(), "{subcommand}");
    }
}

#[test]
fn a_late_git_is_a_veto() {
    let run = Run::new();
    let output = HelperOutput { timed_out: true, signal: Some(15), ..HelperOutput::default() };
    let veto = run.save_with(&mut Faulty { subcommand: "add", output }).veto.unwrap();
    assert_eq!(veto, "cannot save the changes: git took longer than 600 s and was ended");
}

#[test]
fn a_lost_commit_is_a_veto() {
    let run = Run::new();
    write(&run.entry().unwrap().join("HEAD"), "1".repeat(40));
    assert!(run.veto().ends_with("that the worktree stands on is gone"));
    let mut run = Run::new();
    run.base = "2".repeat(40);
    assert!(run.veto().ends_with("is gone from the repository"));
}

#[test]
fn a_worktree_that_became_a_file_is_a_veto() {
    let run = Run::new();
    fs_err::remove_dir_all(&run.worktree).unwrap();
    fs_err::write(&run.worktree, "x").unwrap();
    assert!(run.veto().ends_with("is not a directory any more"));
}

/// The library must outlive the run.
fn with_submodule() -> (Project, Run) {
    let library = Project::new();
    let project = Project::new();
    project.git(&["submodule", "--quiet", "add", library.top.to_str().unwrap(), "lib"]);
    project.git(&["commit", "-qm", "with a submodule"]);
    (library, Run::of(project))
}

#[test]
fn submodules_that_did_not_change_are_no_veto() {
    let (_library, run) = with_submodule();
    assert_eq!(run.save(), NOTHING);
    run.git(&["submodule", "--quiet", "update", "--init"]);
    assert!(run.worktree.join("lib/a.txt").exists());
    assert_eq!(run.save(), NOTHING);
}

#[test]
fn work_in_a_submodule_is_a_veto() {
    let (_library, run) = with_submodule();
    run.git(&["submodule", "--quiet", "update", "--init"]);
    let lib = run.worktree.join("lib");

    write(&lib.join("new"), "x");
    assert_eq!(run.veto(), "the submodule lib has changes");
    git(&lib, &["add", "new"]);
    git(&lib, &["commit", "-qm", "new"]);
    assert_eq!(run.veto(), "lib is a repository of its own, and its commits are not saved");
    git(&lib, &["checkout", "-q", "--detach", "HEAD~1"]);
    let veto = run.veto();
    assert!(
        veto.starts_with("the submodule repository") && veto.ends_with("has commits of its own"),
        "{veto}"
    );
}

/// Root reads everything: there is nothing to see then.
#[test]
fn what_may_not_be_read_is_a_veto() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let close = |path: &std::path::Path, mode| {
        fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let run = Run::new();
    run.write("secret", "x");
    close(&run.worktree.join("secret"), 0o000);
    assert!(run.veto().ends_with("Permission denied"));
    close(&run.worktree.join("secret"), 0o600);
    run.write("closed/file", "x");
    close(&run.worktree.join("closed"), 0o000);
    assert!(run.veto().contains("could not open directory 'closed/'"));
    close(&run.worktree.join("closed"), 0o700);
    close(&run.worktree, 0o000);
    assert!(run.veto().starts_with("the worktree cannot be read"));
    close(&run.worktree, 0o700);
    run.saved();
}

/// Somebody's `git gc --prune=now`, at the worst moment: it looked for refs before ours was there, and deletes behind it.
struct Pruning<'a> {
    run: &'a Run,
    times: u32,
}

impl Helpers for Pruning<'_> {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let is_look = command.get_args().any(|argument| argument == "rev-list");
        if self.times > 0 && is_look {
            self.times -= 1;
            let blob = self.run.git(&["hash-object", "precious"]);
            let object = format!(".git/objects/{}/{}", &blob[..2], &blob[2..]);
            fs_err::remove_file(self.run.project.top.join(object)).unwrap();
        }
        Blocking.run(command, stdin, limit)
    }
}

#[test]
fn what_a_collection_takes_away_is_written_again_or_stays_where_it_is() {
    let run = Run::new();
    run.write("precious", "work");
    let salvage = run.save_with(&mut Pruning { run: &run, times: 2 });
    assert_eq!((salvage.veto, run.preserved("precious").as_str()), (None, "work"));
    let veto = run.save_with(&mut Pruning { run: &run, times: 3 }).veto.expect("a veto");
    assert!(veto.contains("git gc"), "{veto}");
}
