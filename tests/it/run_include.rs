//! `.worktreeinclude`: what git ignores and a worktree needs is there, and nothing else is.

use std::os::unix::fs::symlink;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;

/// Ignored files of several kinds; those that the patterns name are wanted.
fn project(patterns: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", ".env*\nnode_modules/\nbuild/\n");
    sandbox.write(".worktreeinclude", patterns);
    sandbox.commit("Ignore");
    for path in [".env", ".env.local", "sub/deep/.env", "node_modules/a/index.js", "build/o"] {
        sandbox.write(path, "local\n");
    }
    sandbox.write("untracked.txt", "not ignored\n");
    sandbox
}

/// All files of the worktree that its commit has not, as the worker sees them.
#[track_caller]
fn seen(sandbox: &Sandbox, definition: Value) -> (Value, String) {
    sandbox.worker("Look", definition);
    let run = sandbox.start("Look");
    let end = run.ended();
    (end, run.log())
}

const LIST: &str = "git ls-files -o | sort";

#[test]
fn what_is_ignored_and_named_is_copied() {
    let sandbox = project(".env*\n!.env.local\nnode_modules/\n*.txt\n");
    let definition = json!({"command": LIST, "worktree": true});
    let (end, listed) = seen(&sandbox, definition.clone());
    assert_eq!(listed, ".env\nnode_modules/a/index.js\nsub/deep/.env\n");
    assert!(end["data"].get("preserved_ref").is_none_or(Value::is_null), "{end}");
    let planned = sandbox.lattice(["worker", "run", "Look", "LAT-1", "--dry-run", "--json"]);
    let included = planned.run().ok().data()["include"].clone();
    assert_eq!(included, json!([".env", "node_modules", "sub/deep/.env"]));
    let checked = sandbox.lattice(["worker", "check", "Look"]).run().ok().stdout;
    let line = "3 copied into it: .env, node_modules, sub/deep/.env\n";
    assert!(checked.contains(line), "{checked}");
    // In place everything is there already; without the file nothing is copied.
    fs::remove_file(sandbox.project.join(".worktreeinclude")).unwrap();
    assert_eq!(seen(&sandbox, definition).1, "");
    sandbox.sh("git checkout -q . && rm untracked.txt");
    sandbox.assert_clean();
}

#[test]
fn lattices_own_files_repositories_and_links_are_left_alone() {
    let sandbox = project("*\n");
    sandbox.sh("git init -q nested && echo x > nested/.env");
    symlink("/etc", sandbox.project.join("build/etc")).unwrap();
    let command =
        "git ls-files -o | sort; readlink build/etc; test ! -e .lattice/runs && echo apart";
    let (_, listed) = seen(&sandbox, json!({"command": command, "worktree": true}));
    let expected = ".env\n.env.local\nbuild/etc\nbuild/o\nnode_modules/a/index.js\nsub/deep/.env\n/etc\napart\n";
    assert_eq!(listed, expected);
    sandbox.sh("rm -r untracked.txt nested");
    sandbox.assert_clean();
}

/// A secret that an older commit does not ignore must not end in a ref.
#[test]
fn what_did_not_change_is_not_saved() {
    let sandbox = Sandbox::new();
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.write(".gitignore", ".env*\n");
    sandbox.write(".worktreeinclude", ".env*\n");
    sandbox.commit("Ignore");
    sandbox.write(".env", "TOKEN=planted-1618\n");
    sandbox.write(".env.cache", "old\n");
    sandbox.worker("Look", json!({"command": "echo new > .env.cache; cat .env", "worktree": true}));
    let end = sandbox.start_with("Look", &["--commit", &old]).ended();
    let name = end["data"]["preserved_ref"].as_str().unwrap_or_else(|| panic!("{end}"));
    assert_eq!(sandbox.git(["show", "--name-only", "--format=", name]), ".env.cache");
    sandbox.assert_clean();
}

#[test]
fn a_file_of_the_commit_is_not_overwritten() {
    let sandbox = Sandbox::new();
    sandbox.write("conf/a", "committed\n");
    sandbox.write("link/x", "committed\n");
    sandbox.commit("Once it was tracked");
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.git(["rm", "-rq", "--cached", "conf", "link"]);
    sandbox.write(".gitignore", "conf/\nlink/\n");
    sandbox.write(".worktreeinclude", "conf/a\nconf/b\n");
    sandbox.commit("Now it is ignored");
    sandbox.write("conf/a", "local\n");
    sandbox.write("conf/b", "local\n");
    let command = "cat conf/a conf/b";
    sandbox.worker("Look", json!({"command": command, "worktree": true}));
    let run = sandbox.start_with("Look", &["--commit", &old]);
    run.ended();
    assert_eq!(run.log(), "committed\nlocal\n");
    // `copy` is another matter: the definition names it, and it goes into the directory, not below it.
    sandbox.worker(
        "Look",
        json!({"command": "cat conf/a; find conf -type d", "worktree": true, "copy": ["conf"]}),
    );
    let run = sandbox.start_with("Look", &["--commit", &old]);
    run.ended();
    assert_eq!(run.log(), "local\nconf\n");
    sandbox.assert_clean();
}

/// A commit that has a link where the user has a directory could lead a copy out of the worktree.
#[test]
fn nothing_is_put_behind_a_link_of_the_commit() {
    let sandbox = Sandbox::new();
    let outside = sandbox.base.join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, sandbox.project.join("conf")).unwrap();
    sandbox.commit("A link");
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.git(["rm", "-q", "conf"]);
    sandbox.write(".gitignore", "conf/\n");
    sandbox.commit("A directory");
    sandbox.write("conf/secret", "local\n");
    sandbox.worker("Look", json!({"command": "true", "worktree": true, "copy": ["conf/secret"]}));
    let end = sandbox.start_with("Look", &["--commit", &old]).ended();
    assert_eq!(end["data"]["reason"], "worktree_failed", "{end}");
    assert!(end["data"]["error"].as_str().unwrap().contains("is a link there"), "{end}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    sandbox.assert_clean();
}

#[test]
fn patterns_that_select_too_much_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.o\n");
    sandbox.write(".worktreeinclude", "*.o\n");
    sandbox.commit("Ignore");
    sandbox.sh("for i in $(seq 1001); do : > $i.o; done");
    sandbox.worker("Look", json!({"command": "true", "worktree": true}));
    let refused = sandbox.lattice(["worker", "run", "Look", "LAT-1", "--json"]).run();
    let error = refused.refused(1, "VALIDATION_ERROR");
    assert!(error["message"].as_str().unwrap().contains("selects 1001 paths"), "{error}");
    assert_eq!(sandbox.assert_runs_ended(), 0);
    sandbox.assert_clean();
}
