//! Discovery without a process, and the preflight.

use std::path::{Path, PathBuf};

use super::fixture::{Blocking, Ending, Project, git, write};
use crate::git::command;
use crate::git::repository::discover;
use crate::model::failure::{Code, Failure};
use crate::process::helper::HelperOutput;
use crate::process::spawn;

fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.code(), Code::GitError);
    assert!(failure.hint_text().is_some(), "no hint: {failure}");
    failure.message().to_owned()
}

#[test]
fn finds_the_top_and_the_prefix() {
    let project = Project::new();
    let found = discover(&project.top.join("sub")).unwrap().unwrap();
    assert_eq!(found.top, project.top);
    assert_eq!(found.prefix, PathBuf::from("sub"));
    assert_eq!(found.git_dir, project.top.join(".git"));
    assert_eq!(found.common_dir, found.git_dir);
    assert_eq!(project.repository().prefix, PathBuf::new());
}

#[test]
fn outside_of_git_there_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join(".git")).unwrap();
    assert_eq!(discover(dir.path()).unwrap(), None);
}

#[test]
fn a_linked_worktree_shares_the_common_directory() {
    let project = Project::new();
    project.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = project.top.parent().unwrap().join("linked");
    let found = discover(&linked).unwrap().unwrap();
    assert_eq!(found.top, linked);
    assert_eq!(found.git_dir, project.top.join(".git/worktrees/linked"));
    assert_eq!(found.common_dir, project.top.join(".git"));
}

#[test]
fn a_symbolic_link_into_the_repository_is_resolved() {
    let project = Project::new();
    let link = project.dir.path().join("link");
    std::os::unix::fs::symlink(project.top.join("sub"), &link).unwrap();
    assert_eq!(discover(&link).unwrap().unwrap().prefix, PathBuf::from("sub"));
}

#[test]
fn bare_repositories_are_refused_but_their_worktrees_work() {
    let project = Project::new();
    let bare = project.top.parent().unwrap().join("bare.git");
    project.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    assert!(refused(discover(&bare)).contains("is a bare repository"));
    assert!(refused(discover(&bare.join("refs"))).contains("is a bare repository"));

    let hub = project.top.parent().unwrap().join("hub");
    write(&hub.join(".git"), "gitdir: ../bare.git\n");
    assert!(refused(discover(&hub)).contains("is a bare repository"));

    git(&bare, &["worktree", "add", "-q", "--detach", "../tree"]);
    let tree = project.top.parent().unwrap().join("tree");
    assert_eq!(discover(&tree).unwrap().unwrap().common_dir, bare);
}

#[test]
fn a_git_file_that_leads_nowhere_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(".git"), "gitdir: /nowhere/at/all\n");
    assert!(refused(discover(dir.path())).contains("points to /nowhere/at/all"));
    write(&dir.path().join(".git"), "garbage");
    assert!(refused(discover(dir.path())).contains("neither a git directory nor"));
    fs_err::remove_file(dir.path().join(".git")).unwrap();
    std::os::unix::fs::symlink("gone", dir.path().join(".git")).unwrap();
    assert!(refused(discover(dir.path())).contains("not a git directory"));
}

#[test]
fn one_call_answers_the_preflight() {
    let project = Project::new();
    let found = discover(&project.top.join("sub")).unwrap().unwrap();
    let asked =
        [Path::new("prompt.md"), Path::new("./prompt.md"), Path::new("missing with space.md")];
    let preflight = found.preflight(&mut Blocking, "main", &asked).unwrap();
    assert_eq!(preflight.commit_sha, project.head());
    assert_eq!(preflight.objects, [true, true, false]);
    assert_eq!(found.read_file(&mut Blocking, "HEAD", asked[1]).unwrap(), b"Review it.\n");
    assert!(found.read_file(&mut Blocking, "HEAD", asked[2]).is_err());
}

#[test]
fn head_is_read_where_files_say_it() {
    let project = Project::new();
    let head = || project.repository().head();
    assert_eq!(head(), Some(project.head()));
    project.git(&["pack-refs", "--all"]);
    assert!(!project.top.join(".git/refs/heads/main").exists());
    assert_eq!(head(), Some(project.head()));
    // A loose one is newer than a packed one.
    project.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    assert_eq!(head(), Some(project.head()));
    project.git(&["worktree", "add", "-q", "-b", "deep/er", "../linked", "HEAD~1"]);
    let linked = discover(&project.top.join("../linked")).unwrap().unwrap();
    assert_eq!(linked.head(), Some(project.git(&["rev-parse", "HEAD~1"])));
    project.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(head(), Some(project.head()));
    project.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
    assert_eq!((head(), Project::without_commit().repository().head()), (None, None));
}

#[test]
fn an_annotated_tag_is_peeled() {
    let project = Project::new();
    project.git(&["tag", "-am", "v1", "v1"]);
    let preflight =
        project.repository().preflight(&mut Blocking, "v1", &[Path::new("sub")]).unwrap();
    assert_eq!((preflight.commit_sha, preflight.objects), (project.head(), vec![true]));
}

#[test]
fn revisions_that_name_nothing_are_refused() {
    let project = Project::new();
    let ask =
        |revision: &str| refused(project.repository().preflight(&mut Blocking, revision, &[]));
    assert!(ask("no-such").contains("no-such names no commit in"));
    assert!(ask("HEAD:a.txt").contains("names no commit"));
    for odd in ["", "-h", "HEAD\nHEAD", "a\tb"] {
        assert!(ask(odd).contains("cannot name a commit"));
    }
    let empty = Project::without_commit();
    assert!(
        refused(empty.repository().preflight(&mut Blocking, "HEAD", &[]))
            .contains("has no commit yet")
    );
}

#[test]
fn paths_that_leave_the_project_are_refused() {
    let repository = Project::new().repository();
    for odd in ["../x", "/etc/passwd", "a\nb"] {
        assert!(repository.preflight(&mut Blocking, "HEAD", &[Path::new(odd)]).is_err());
    }
}

#[test]
fn gits_own_remedy_becomes_the_hint() {
    let stderr = "fatal: detected dubious ownership in repository at '/x'\nTo add an exception, call:\n\n\
                  \tgit config --global --add safe.directory /x\n";
    let output = HelperOutput { code: Some(128), stderr: stderr.into(), ..HelperOutput::default() };
    let failure =
        Project::new().repository().preflight(&mut Ending(output), "HEAD", &[]).unwrap_err();
    assert_eq!(
        failure.message(),
        "cannot look up the commit: detected dubious ownership in repository at '/x'"
    );
    assert_eq!(failure.hint_text(), Some("git config --global --add safe.directory /x"));
}

#[test]
fn a_missing_or_late_git_is_told_apart() {
    let missing =
        command::checked(&mut Blocking, spawn::command("/nowhere/git"), None, "cannot ask");
    assert!(refused(missing).starts_with("cannot ask: git could not be started"));
    let late = HelperOutput { timed_out: true, signal: Some(15), ..HelperOutput::default() };
    let late =
        command::checked(&mut Ending(late), spawn::command("git"), None, "cannot ask").unwrap_err();
    assert_eq!(late.message(), "cannot ask: git took longer than 600 s and was ended");
}
