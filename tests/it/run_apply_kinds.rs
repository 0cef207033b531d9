//! `worker apply` of every kind of change to every kind of file, beside what git itself makes of it; and that a refusal
//! leaves every byte of the checkout, the index and the refs.

use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;
use crate::harness::tree::Tree;
use crate::run_apply::{COMMIT, run, tree, worker};

/// Files of every kind that a change can begin with.
const BEFORE: &str = "\
    set -e; for f in text renamed moved-away deleted loose-changed loose-deleted executable plain f2l f2d empty; do \
        seq 20 | sed \"s/^/$f /\" > $f; done; : > empty; chmod +x executable; \
    ln -s text link; ln -s text l2f; mkdir d2f dir; echo a > d2f/a; echo b > d2f/b; echo in > dir/in; \
    head -c 5000 /dev/zero > binary; head -c 3000 /dev/zero > loose-binary; printf 'a\\r\\nb\\r\\n' > crlf; \
    printf 'no end' > endless; echo x > Case; printf 'loose-ignored\\n' > .gitignore";

/// Two commits, and what is left uncommitted, each with every kind of change.
fn changes() -> String {
    format!(
        "set -e; sed -i 's/text 3$/TEXT 3/' text; chmod +x plain; rm link; ln -s empty link; git rm -q deleted; \
         printf '\\000\\001\\002' >> binary; git mv Case case; git mv renamed dir/renamed; git add -A; {COMMIT} -m One; \
         sed -i 's/7$/SEVEN/' dir/renamed; rm f2l; ln -s text f2l; rm l2f; echo file > l2f; rm f2d; mkdir f2d; \
         echo inner > f2d/inner; git rm -rq d2f; echo file > d2f; chmod -x executable; printf 'new' > endless; \
         printf '' > new-empty; printf 'a\\n' > crlf; git mv moved-away 'moved to'; chmod +x 'moved to'; \
         git add -A; {COMMIT} -m Two; \
         sed -i 's/ 5$/ FIVE/' loose-changed; rm loose-deleted; chmod +x text; printf '\\377\\000' > loose-binary; \
         mkdir -p deep/er; printf '\\000' > deep/er/loose; ln -s nowhere loose-link; rm link; echo was a link > link; \
         printf x > $'tab\\tand\\nline'; printf x > 'quote\"d ü'; echo no > loose-ignored; printf x > loose-tool; \
         chmod +x loose-tool"
    )
}

fn project(before: &str, changes: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.sh(before);
    sandbox.commit("Files");
    sandbox.worker("Work", json!({"command": changes, "worktree": true}));
    sandbox
}

fn index_mode(sandbox: &Sandbox) -> u32 {
    fs::metadata(sandbox.project.join(".git/index")).unwrap().permissions().mode()
}

#[test]
fn every_kind_of_change_gives_the_same_tree() {
    let sandbox = project(BEFORE, &changes());
    sandbox.git(["config", "core.sharedRepository", "group"]);
    sandbox.commit("So that the index is the group's");
    let mode = index_mode(&sandbox);
    let run = run(&sandbox);
    let applied = worker(&sandbox, &["apply", &run, "--json"]).ok().silent().data();
    assert_eq!(applied["commits"].as_array().unwrap().len(), 2, "{applied}");
    let work = format!("refs/lattice/runs/{run}");
    assert_eq!(tree(&sandbox).trim(), sandbox.git(["rev-parse", &format!("{work}^{{tree}}")]));
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), sandbox.git(["rev-parse", &format!("{work}^")]));
    assert_eq!(index_mode(&sandbox), mode, "the index stays the group's");
    assert_eq!(sandbox.git(["diff", "--cached", "--name-only"]), "", "nothing is staged");
    let listed = |path: &str| sandbox.git(["ls-files", "--stage", path]);
    assert!(listed("plain").starts_with("100755") && listed("executable").starts_with("100644"));
    assert!(listed("f2l").starts_with("120000") && listed("l2f").starts_with("100644"));
    assert!(!sandbox.project.join("loose-ignored").exists());
}

#[test]
fn on_a_branch_that_has_moved_it_is_what_git_makes_of_it() {
    let sandbox = project(BEFORE, &changes());
    let run = run(&sandbox);
    sandbox.sh("sed -i '1s/^/ours /' text renamed moved-away loose-changed; echo ours > ours; rm dir/in; chmod +x crlf");
    sandbox.commit("Meanwhile");
    let work = format!("refs/lattice/runs/{run}");
    let by_git = sandbox.sh(&format!(
        "set -e; git worktree add -q --detach ../by-git; cd ../by-git; git cherry-pick {work}~3..{work}~1 >/dev/null; \
         git diff --binary {work}~1 {work} | git apply --index; git write-tree; cd -; \
         git worktree remove --force ../by-git"
    ));
    worker(&sandbox, &["apply", &run]).ok().silent();
    let expected = by_git.stdout.lines().next().expect("git has told a tree");
    assert_eq!(tree(&sandbox).trim(), expected);
    assert_eq!(sandbox.git(["log", "--format=%s", "-3"]), "Two\nOne\nMeanwhile");
}

#[test]
fn a_repository_that_does_not_trust_modes_gets_them_all_the_same() {
    let sandbox = project(BEFORE, &changes());
    let run = run(&sandbox);
    sandbox.git(["config", "core.fileMode", "false"]);
    worker(&sandbox, &["apply", &run]).ok().silent();
    let work = format!("refs/lattice/runs/{run}");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), sandbox.git(["rev-parse", &format!("{work}^")]));
    let mode = |path: &str| fs::metadata(sandbox.project.join(path)).unwrap().permissions().mode();
    assert_eq!((mode("plain") & 0o111, mode("executable") & 0o111), (0o111, 0));
}

/// Every byte but those of objects, which nobody sees until a ref names them.
fn everything(sandbox: &Sandbox) -> Tree {
    Tree::of(&sandbox.project, &[".git/objects", ".lattice/locks"])
}

#[test]
fn a_refusal_leaves_every_byte() {
    let sandbox = project(BEFORE, &changes());
    let run = run(&sandbox);
    let base = sandbox.git(["rev-parse", "HEAD"]);
    // Committed in the way of a commit and of the rest; and not committed.
    for (make, commit, told) in [
        ("sed -i 's/text 3$/ours/' text", true, "text"),
        ("printf 'ours' > binary", true, "binary"),
        ("rm link; ln -s ours link", true, "link"),
        ("rm f2d; mkdir f2d; echo ours > f2d/inner", true, "f2d/inner"),
        ("echo ours > d2f/a", true, "d2f"),
        ("sed -i 's/ 5$/ ours/' loose-changed", true, "loose-changed"),
        ("echo ours > loose-binary", true, "loose-binary"),
        ("echo ours > loose-deleted", true, "loose-deleted"),
        ("chmod -x executable; echo ours > text", false, "text"),
        ("echo ours > d2f/mine", false, "d2f"),
        ("ln -s ours loose-link", false, "loose-link"),
        ("mkdir deep; echo ours > deep/er", false, "deep/er"),
        ("git mv renamed elsewhere", false, "renamed"),
        ("git rm -q --cached text", false, "text"),
        ("rm link; ln -s ours link; git add link", false, "link"),
        ("echo ours > new-empty; git add -N new-empty", false, "new-empty"),
    ] {
        println!("{make}");
        sandbox.sh(make);
        if commit {
            sandbox.commit("In the way");
        }
        sandbox.git(["status", "--porcelain"]);
        let before = everything(&sandbox);
        let error: Value = worker(&sandbox, &["apply", &run, "--json"]).refused(1, "CONFLICT");
        let differences = before.differences(&everything(&sandbox));
        assert!(differences.is_empty(), "{make}: {differences:#?}: {error}");
        assert!(error.to_string().contains(told), "{make}: {error}");
        sandbox.sh(&format!("git reset -q --hard {base}; git clean -fdxq -e .lattice"));
    }
    worker(&sandbox, &["apply", &run]).ok();
}

#[test]
fn what_the_user_has_changed_elsewhere_keeps_its_place_in_the_index() {
    let sandbox =
        project(&format!("{BEFORE}; for f in 1 2 3 4 5; do seq 9 > user$f; done"), &changes());
    let run = run(&sandbox);
    sandbox.sh(
        "chmod +x user1; chmod +x user2; git add user2; git mv user3 user3-moved; git rm -q user4; echo x >> user5; \
         git add user5; echo y >> user5; echo new > user6; git add -N user6; ln -s user1 user7; git add user7; \
         mkdir empty-directory",
    );
    let paths = "git status --porcelain -- 'user*'; git ls-files --stage -- 'user*'; cat user5; test -d empty-directory; \
                 stat -c %a user1 user2";
    let before = sandbox.sh(paths).stdout;
    worker(&sandbox, &["apply", &run]).ok();
    assert_eq!(sandbox.sh(paths).stdout, before);
    sandbox.sh("git reset -q -- 'user*'; git checkout -q -- 'user*' 2>/dev/null; rm -f user3-moved user6 user7");
    let work = format!("refs/lattice/runs/{run}^{{tree}}");
    assert_eq!(tree(&sandbox).trim(), sandbox.git(["rev-parse", &work]));
}
