//! Nothing that a worker left may be lost: it is in the ref, or there is a veto.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::fixture::{Blocking, Project, git, user_git, write};
use crate::git::salvage::{Request, Salvage, preserved_ref, save};
use crate::git::worktree::{add, entry, remove_entry};
use crate::model::ids::RunId;
use crate::process::helper::{HelperOutput, Helpers};

struct Run {
    project: Project,
    worktree: PathBuf,
    id: RunId,
    base: String,
    exclude: Vec<PathBuf>,
}

impl Run {
    fn new() -> Self {
        Self::of(Project::new())
    }

    fn of(project: Project) -> Self {
        let worktree = project.dir.path().join("wt-1");
        add(&mut Blocking, &project.repository(), &worktree, "HEAD", "lattice", &mut |_| {})
            .unwrap();
        let base = project.head();
        Self { project, worktree, id: RunId::generate(), base, exclude: Vec::new() }
    }

    fn entry(&self) -> Option<PathBuf> {
        entry(&self.project.repository().common_dir, &self.worktree)
    }

    fn save_with(&self, h: &mut dyn Helpers) -> Salvage {
        let entry = self.entry();
        save(
            h,
            &Request {
                common_dir: &self.project.top.join(".git"),
                entry: entry.as_deref(),
                worktree: &self.worktree,
                run: &self.id,
                base_commit: &self.base,
                exclude: &self.exclude,
                scratch: self.project.dir.path(),
            },
        )
    }

    fn save(&self) -> Salvage {
        self.save_with(&mut Blocking)
    }

    /// Saves, expects a ref and no veto.
    fn saved(&self) {
        assert_eq!(
            self.save(),
            Salvage { preserved_ref: Some(preserved_ref(&self.id)), veto: None }
        );
    }

    fn veto(&self) -> String {
        self.save().veto.expect("a veto")
    }

    fn write(&self, path: &str, content: &str) {
        write(&self.worktree.join(path), content);
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.worktree, arguments)
    }

    fn commit(&self, path: &str) -> String {
        self.write(path, path);
        self.git(&["add", path]);
        self.git(&["commit", "-qm", path]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A file of the preserved commit.
    fn preserved(&self, path: &str) -> String {
        self.project.git(&["show", &format!("{}:{path}", preserved_ref(&self.id))])
    }

    fn preserved_name(&self) -> String {
        self.project.git(&["rev-parse", &preserved_ref(&self.id)])
    }

    fn paths(&self) -> Vec<String> {
        let listing = self.project.git(&["ls-tree", "-r", "--name-only", &preserved_ref(&self.id)]);
        listing.lines().map(str::to_owned).collect()
    }

    fn parents(&self) -> Vec<String> {
        let parents = self.project.git(&["rev-parse", &format!("{}^@", preserved_ref(&self.id))]);
        parents.lines().map(str::to_owned).collect()
    }
}

const NOTHING: Salvage = Salvage { preserved_ref: None, veto: None };

/// Answers one subcommand by itself.
struct Faulty {
    subcommand: &'static str,
    output: HelperOutput,
}

impl Helpers for Faulty {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        if command.get_args().any(|argument| argument == self.subcommand) {
            return Ok(self.output.clone());
        }
        Blocking.run(command, stdin, limit)
    }
}

fn failing(subcommand: &'static str, code: i32, stderr: &str) -> Faulty {
    Faulty {
        subcommand,
        output: HelperOutput { code: Some(code), stderr: stderr.into(), ..HelperOutput::default() },
    }
}

#[test]
fn nothing_changed_is_nothing_saved() {
    let run = Run::new();
    run.write("debug.log", "ignored");
    assert_eq!(run.save(), NOTHING);
    assert_eq!(run.project.git(&["for-each-ref", "refs/lattice"]), "");
}

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
    assert!(!entry.join("ORIG_HEAD").exists());
    assert_eq!(run.save(), NOTHING);
    write(&entry.join("rebase-merge/autostash"), &lone);
    run.saved();
    assert_eq!(run.parents(), [run.base.clone(), lone]);
}

#[test]
fn a_worktree_deleted_by_hand_still_gives_its_commits() {
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
fn leftover_locks_are_in_nobodys_way() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    write(&run.entry().unwrap().join("index.lock"), "");
    write(&run.project.top.join(".git").join(format!("{}.lock", preserved_ref(&run.id))), "");
    write(&run.project.dir.path().join("salvage.index"), "damaged");
    write(&run.project.dir.path().join("salvage.index.lock"), "");
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
fn branches_of_the_worker_and_orphans_are_saved() {
    let run = Run::new();
    run.git(&["checkout", "-q", "--orphan", "fresh"]);
    run.write("only.txt", "only");
    run.saved();
    assert_eq!(run.parents(), [run.base.as_str()]);
    assert_eq!(run.preserved("only.txt"), "only");
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
fn failures_of_git_are_vetoes() {
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
