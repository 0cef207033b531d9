//! A worktree from the pool is what a new one would be, whatever the run before has done to it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::json;

use crate::harness::checkout::{Description, tree};
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually, skipped};

/// Whether the tree that a hostile run has left may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Recycled,
    ThrownAway,
}
use Then::{Recycled, ThrownAway};

/// A project with something of everything that git can hold.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.pool(1);
    sandbox.write(".gitignore", "*.log\nbuild/\n");
    sandbox.write(".gitattributes", "*.crlf text eol=crlf\n");
    for number in 0..40 {
        sandbox.write(&format!("calm/d{}/f{number}", number % 4), &format!("calm {number}\n"));
    }
    sandbox.write("src/a", "alpha\n");
    sandbox.write("src/b", "beta\n");
    sandbox.write("src/deep/er/c", "gamma\n");
    sandbox.write("gone/only", "is not in the next commit\n");
    sandbox.write("lines.crlf", "one\ntwo\n");
    sandbox.sh("printf '#!/bin/sh\\n' > tool && chmod +x tool && ln -s src/a link && ln -s / root");
    sandbox.commit("Everything");
    sandbox
}

/// The next commit, in which some of it is otherwise.
fn go_on(sandbox: &Sandbox) {
    sandbox.write("src/b", "beta, changed\n");
    sandbox.write("new/file", "delta\n");
    sandbox.sh("git rm -q -r gone && chmod +x src/a && rm link && mkdir link && echo x > link/now");
    sandbox.commit("The next");
}

/// What a worker sees, and the inode of a file that no run touches.
fn look(sandbox: &Sandbox) -> (Description, u64) {
    let run = sandbox.start("Look");
    let peer = sandbox.socket.peer("look");
    let path = PathBuf::from(run.started["worktree_path"].as_str().expect("it has a worktree"));
    let seen = sandbox.describe(&path, &run.id);
    let inode = inode(&path);
    peer.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    (seen, inode)
}

fn inode(worktree: &Path) -> u64 {
    fs::symlink_metadata(worktree.join("calm/d1/f1")).expect("it is in both commits").ino()
}

fn members(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = fs::read_dir(sandbox.lattice_dir().join("worktrees")).expect("it was made");
    let paths = found.map(|entry| entry.expect("it can be listed").path());
    paths.filter(|path| path.join("facts.json").exists()).collect()
}

/// Waits for what follows an end, and says whether it has filled the pool.
fn settle(sandbox: &Sandbox) -> bool {
    sandbox.assert_clean();
    !members(sandbox).is_empty()
}

/// Lets a worker do its worst, and compares what the next one finds with what it finds without a pool.
#[track_caller]
fn check(script: &str, then: Then) {
    let sandbox = project();
    check_in(&sandbox, script, then);
}

#[track_caller]
fn check_in(sandbox: &Sandbox, script: &str, then: Then) {
    check_before(sandbox, script, then, go_on);
}

/// `next` is what happens in the project before the next run.
#[track_caller]
fn check_before(sandbox: &Sandbox, script: &str, then: Then, next: impl FnOnce(&Sandbox)) {
    let outside = sandbox.base.join("outside");
    fs::create_dir_all(&outside).expect("the sandbox is writable");
    fs::write(outside.join("file"), "kept\n").expect("the sandbox is writable");
    let script = format!("set -e; outside={}\n{script}\ntrue", outside.display());
    sandbox.worker("Worst", json!({"command": script, "worktree": true}));
    sandbox.worker(
        "Look",
        json!({"command": sandbox.fake(&["connect=look", "wait"]), "worktree": true}),
    );
    let run = sandbox.start("Worst");
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    let was_put = settle(sandbox);
    let before = tree(&outside);
    let kept = members(sandbox).first().map(|member| inode(&member.join("tree")));
    next(sandbox);

    let (found, inode) = look(sandbox);
    settle(sandbox);
    sandbox.pool(0);
    let (expected, _) = look(sandbox);
    expected.assert_same(&found);
    assert_eq!(before.differences(&tree(&outside)), [""; 0], "what lies outside is left alone");
    let recycled = was_put && kept == Some(inode);
    assert_eq!(recycled, then == Recycled, "put {was_put}, inodes {kept:?} and {inode}");
    sandbox.assert_clean();
}

#[test]
fn after_a_run_that_did_nothing() {
    check("", Recycled);
}

#[test]
fn after_work_as_every_agent_does_it() {
    check(
        "echo more >> src/a; rm src/deep/er/c; mkdir -p build/out notes; echo x > build/out/o; echo n > notes/n
         mkdir -p src/empty/deep; echo l > x.log; git add notes; git -c user.name=w -c user.email=w@w commit -q -m Work
         git rm -q tool; git mv src/b src/bb",
        Recycled,
    );
}

#[test]
fn when_nobody_has_committed_anything() {
    let sandbox = project();
    sandbox.worker("Idle", json!({"command": "true", "worktree": true}));
    // The second takes what the first has left, and finds nothing to be restored.
    for _ in 0..2 {
        sandbox.run_to_end("Idle");
        assert!(settle(&sandbox));
    }
    check_before(&sandbox, "", Recycled, |_| {});
    let work = "echo more >> src/a; rm src/deep/er/c lines.crlf link; chmod -x tool; mv calm calmer && mkdir calm && mv calmer/d1 calmer/d2 calm";
    check_before(&project(), work, Recycled, |_| {});
}

#[test]
fn after_nested_repositories_and_closed_directories() {
    check(
        "mkdir -p build/n/x; git init -q build/n; git init -q build/n/x; echo x > build/n/f
         mkdir -p build/closed/in; echo x > build/closed/in/f; chmod 555 build/closed/in; chmod 0 build/closed
         chmod 555 src/deep; mkfifo build/fifo",
        Recycled,
    );
}

#[test]
fn after_bits_that_hide_changes() {
    check(
        // None of these is changed by the next commit: git would write them in any case.
        "git update-index --skip-worktree src/deep/er/c; git update-index --assume-unchanged calm/d0/f4
         echo hidden > src/deep/er/c; echo hidden > calm/d0/f4
         git update-index --index-version 4; git update-index --split-index; git update-index --force-untracked-cache",
        Recycled,
    );
}

#[test]
fn after_forged_times() {
    check(
        "c=src/deep/er/c; touch -r $c $outside/time; echo GAMMA > $c; touch -r $outside/time $c
         cp -p calm/d0/f0 $outside/f0; mv $outside/f0 calm/d0/f0; git update-index -q --refresh || true",
        Recycled,
    );
}

#[test]
fn after_modes_links_and_owners() {
    check(
        "chmod 600 src/a; chmod 4755 tool; ln src/b $outside/hard; ln lines.crlf build.log; chmod 2775 calm/d2
         setfattr -n user.mark -v 1 calm/d3 calm/d3/f3 2>/dev/null || true
         setfacl -d -m u:1:rwx calm/d0 2>/dev/null || true; chattr +d src/deep 2>/dev/null || true",
        Recycled,
    );
}

#[test]
fn after_links_out_of_the_tree() {
    check(
        "mv src $outside/src; ln -s $outside/src src; rm README.md; ln -s $outside/file README.md
         rm link; ln -s $outside link; ln -s ../../.. build; mv gone $outside/gone; ln -s $outside/gone gone",
        Recycled,
    );
}

#[test]
fn after_changed_excludes() {
    check(
        "echo '*.odd' >> $(git rev-parse --git-common-dir)/info/exclude; echo '!*.log' >> .gitignore
         touch x.odd y.log src/z.odd; git config --global core.excludesFile $outside/excludes; echo '*.tmp' > $outside/excludes
         touch q.tmp",
        // The configuration is another one.
        ThrownAway,
    );
    check(
        "echo '*.odd' >> $(git rev-parse --git-common-dir)/info/exclude; touch x.odd src/z.odd",
        Recycled,
    );
}

#[test]
fn after_local_configuration() {
    check("git config core.autocrlf true", ThrownAway);
    check("git config user.name Somebody; git config remote.r.url /nowhere", Recycled);
    check(
        "git config extensions.worktreeConfig true; git config --worktree core.filemode false
         git config --worktree core.hooksPath $outside",
        ThrownAway,
    );
}

#[test]
fn after_sparse_checkouts() {
    check("git sparse-checkout set calm", ThrownAway);
    check(
        "git sparse-checkout set calm; git sparse-checkout disable
         git config --unset extensions.worktreeConfig",
        Recycled,
    );
    check(
        "mkdir -p $(git rev-parse --git-dir)/info; echo /calm/ > $(git rev-parse --git-dir)/info/sparse-checkout
         git -c core.sparseCheckout=true read-tree -mu HEAD",
        Recycled,
    );
}

#[test]
fn after_attributes_that_convert() {
    check(
        "echo '*.crlf text eol=lf' > $(git rev-parse --git-common-dir)/info/attributes",
        ThrownAway,
    );
    let sandbox = project();
    // In the next commit the same file is written in another way.
    sandbox.write("later", "*.crlf text eol=lf\n");
    sandbox.commit("Later");
    sandbox.worker("Worst", json!({"command": "true", "worktree": true}));
    sandbox.worker(
        "Look",
        json!({"command": sandbox.fake(&["connect=look", "wait"]), "worktree": true}),
    );
    sandbox.run_to_end("Worst");
    assert!(settle(&sandbox));
    sandbox.sh("git mv -f later .gitattributes && git commit -q -m Attributes");
    let (found, _) = look(&sandbox);
    settle(&sandbox);
    sandbox.pool(0);
    look(&sandbox).0.assert_same(&found);
}

#[test]
fn after_filters() {
    let sandbox = project();
    sandbox.git(["config", "filter.dated.smudge", "date +%N"]);
    sandbox.git(["config", "filter.dated.clean", "cat"]);
    sandbox.worker("Idle", json!({"command": "true", "worktree": true}));
    sandbox.run_to_end("Idle");
    assert!(settle(&sandbox), "a filter that no attribute names changes nothing");
    sandbox.write(".gitattributes", "src/a filter=dated\n");
    sandbox.commit("A filter");
    sandbox.run_to_end("Idle");
    assert!(!settle(&sandbox), "what a program has written may be otherwise tomorrow");
}

#[test]
fn after_states_in_progress() {
    check(
        "git -c user.name=w -c user.email=w@w commit -q --allow-empty -m One; git bisect start -q HEAD HEAD~1 || true
         git update-ref refs/worktree/mine HEAD; git update-ref refs/bisect/bad HEAD; git rev-parse HEAD > $(git rev-parse --git-dir)/MERGE_HEAD
         mkdir $(git rev-parse --git-dir)/rebase-merge; echo x > $(git rev-parse --git-dir)/FETCH_HEAD; git checkout -q --orphan loose",
        Recycled,
    );
}

#[test]
fn after_a_write_that_leaves_no_time() {
    let sandbox = project();
    if sandbox.program(["python3", "-c", "pass"]).run().code != Some(0) {
        return skipped("after_a_write_that_leaves_no_time", "no python3");
    }
    check_in(
        &sandbox,
        "python3 -c 'import mmap; f = open(\"src/deep/er/c\", \"r+b\"); m = mmap.mmap(f.fileno(), 6); m[0]; m[0] = 65'",
        Recycled,
    );
}

#[test]
fn after_everything_was_rewritten() {
    check("git ls-files -z | xargs -0 touch -h", ThrownAway);
}

#[test]
fn after_submodules_nothing_is_kept() {
    let sandbox = project();
    sandbox.sh("git init -q ../sub && git -C ../sub -c user.name=a -c user.email=a@b commit -q --allow-empty -m Sub
         git -c protocol.file.allow=always submodule --quiet add ../sub sub");
    sandbox.commit("A submodule");
    sandbox.worker("Idle", json!({"command": "true", "worktree": true}));
    sandbox.run_to_end("Idle");
    assert!(!settle(&sandbox));
}

#[test]
fn copies_and_links_do_not_stay() {
    let sandbox = project();
    sandbox.write(".gitignore", "*.log\nbuild/\n.env\n");
    sandbox.commit("Ignore");
    sandbox.write(".env", "SECRET=1\n");
    sandbox.write("build/cache", "warm\n");
    let end = "worktree";
    sandbox.worker(
        "Carried",
        json!({"command": "true", end: true, "copy": [".env"], "link": ["build"]}),
    );
    sandbox.run_to_end("Carried");
    assert!(settle(&sandbox));
    sandbox
        .worker("List", json!({"command": "ls -A; git status --ignored --porcelain", end: true}));
    let run = sandbox.start("List");
    run.ended();
    assert!(!run.log().contains(".env") && !run.log().contains("build"), "{}", run.log());
    assert!(sandbox.project.join("build/cache").exists());
    eventually("the pool is filled again", SOON, || {
        if members(&sandbox).len() == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    });
}
