//! The worktree: frozen at a commit, outside of the user's, gone afterwards; and runs that have none.

use fs_err as fs;
use serde_json::json;

use crate::harness::sandbox::Sandbox;

#[test]
fn a_worktree_holds_the_commit_and_not_the_users_changes() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Look",
        json!({"command": "cat README.md; pwd; git rev-parse HEAD; ls", "worktree": true}),
    );
    let head = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.write("README.md", "Changed.\n");
    sandbox.write("untracked", "");
    let run = sandbox.start("Look");
    let end = run.ended();
    let log = run.log();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], "A project.");
    assert_eq!(lines[2], head);
    assert!(
        lines[1].starts_with(sandbox.lattice_dir().join("worktrees").to_str().unwrap()),
        "{log}"
    );
    assert_eq!(run.started["worktree_path"], lines[1]);
    assert!(!lines.contains(&"untracked"), "{log}");
    assert_eq!(end["data"]["dirty"], true);
    assert_eq!(sandbox.changes(), " M README.md\n?? untracked");
    sandbox.sh("git checkout -q README.md && rm untracked");
    sandbox.assert_clean();
}

#[test]
fn a_worktree_is_git_locked_while_it_is_in_use() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Wait",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let run = sandbox.start("Wait");
    let main = sandbox.socket.peer("main");
    let listed = sandbox.git(["worktree", "list", "--porcelain"]);
    let entry = listed.split("\n\n").nth(1).unwrap();
    assert!(
        entry.contains("detached") && entry.contains(&format!("locked lattice {}", run.id)),
        "{listed}"
    );
    sandbox
        .program([
            "git",
            "worktree",
            "remove",
            "--force",
            run.started["worktree_path"].as_str().unwrap(),
        ])
        .run()
        .exits(128);
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
}

#[test]
fn an_older_commit_can_be_named() {
    let sandbox = Sandbox::new();
    sandbox
        .worker("Look", json!({"command": "git rev-parse HEAD; cat README.md", "worktree": true}));
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.write("README.md", "Newer.\n");
    sandbox.commit("Newer");
    let run = sandbox.start_with("Look", &["--commit", "HEAD~1"]);
    run.ended();
    assert_eq!(run.log(), format!("{old}\nA project.\n"));
    assert_eq!(run.started["commit_sha"], old);
    sandbox.assert_clean();
}

#[test]
fn without_a_worktree_the_project_root_is_the_place() {
    let sandbox = Sandbox::without_git();
    sandbox.worker("Here", json!({"command": "pwd; echo ${LATTICE_WORKTREE-none}"}));
    let run = sandbox.start("Here");
    let end = run.ended();
    assert_eq!(run.log(), format!("{}\nnone\n", sandbox.project.display()));
    assert_eq!(
        (&end["type"], &end["data"]["commit_sha"]),
        (&json!("process_completed"), &json!("unknown"))
    );
    assert!(run.started.get("worktree_path").is_none_or(serde_json::Value::is_null));
    sandbox.assert_clean();
}

#[test]
fn a_project_below_the_top_of_the_repository_keeps_its_place() {
    let mut sandbox = Sandbox::empty();
    sandbox.make_repository();
    sandbox.project.push("deep/inside");
    fs::create_dir_all(&sandbox.project).unwrap();
    sandbox.make_lattice();
    sandbox.sh("echo here > marker && git add -A . && git commit -q -m Deep");
    sandbox.worker(
        "Look",
        json!({"command": "cat marker; git rev-parse --show-prefix", "worktree": true}),
    );
    sandbox.sh("git add -A . && git commit -q -m Worker");
    let run = sandbox.start("Look");
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    assert_eq!(run.log(), "here\ndeep/inside/\n");
    sandbox.project.pop();
    sandbox.project.pop();
    assert_eq!(sandbox.git(["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_linked_worktree_of_the_user_can_be_the_project() {
    let mut sandbox = Sandbox::new();
    sandbox.worker("Look", json!({"command": "git rev-parse HEAD", "worktree": true}));
    sandbox.git(["worktree", "add", "-q", "-b", "feature", "../linked"]);
    sandbox.project = sandbox.base.join("linked");
    sandbox.sh("echo more > more && git add more && git commit -q -m More");
    let head = sandbox.git(["rev-parse", "HEAD"]);
    let run = sandbox.start("Look");
    assert_eq!(run.ended()["type"], "process_completed");
    assert_eq!(run.log(), format!("{head}\n"));
    sandbox.assert_clean();
    sandbox.project = sandbox.base.join("project");
    assert_eq!(
        sandbox.git(["worktree", "list"]).lines().count(),
        2,
        "the user's own is left alone"
    );
}

#[test]
fn s16_the_users_hooks_are_not_run_for_our_worktrees() {
    let sandbox = Sandbox::new();
    let hook = sandbox.project.join(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\necho ran >> {}\n", sandbox.base.join("hooked").display()))
        .unwrap();
    sandbox.sh("chmod +x .git/hooks/post-checkout");
    sandbox.worker("Look", json!({"command": "true", "worktree": true}));
    sandbox.run_to_end("Look");
    assert!(!sandbox.base.join("hooked").exists());
    sandbox.assert_clean();
}

#[test]
fn f11_a_users_unplugged_worktree_keeps_its_entry() {
    let sandbox = Sandbox::new();
    sandbox.git(["worktree", "add", "-q", "--detach", "../unplugged"]);
    fs::rename(sandbox.base.join("unplugged"), sandbox.base.join("elsewhere")).unwrap();
    sandbox.worker("Look", json!({"command": "true", "worktree": true}));
    sandbox.run_to_end("Look");
    sandbox.lattice(["worker", "reap"]).run().ok();
    fs::rename(sandbox.base.join("elsewhere"), sandbox.base.join("unplugged")).unwrap();
    sandbox.git(["-C", "../unplugged", "status", "--porcelain"]);
    sandbox.git(["worktree", "remove", "--force", "../unplugged"]);
    sandbox.assert_clean();
}

#[test]
fn copied_and_linked_paths_are_there() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "ignored/\n.env\n");
    sandbox.commit("Ignore");
    sandbox.write(".env", "SETTING=1\n");
    sandbox.write("ignored/cache", "warm\n");
    let command = "cat .env ignored/cache; test -L ignored && echo linked";
    sandbox.worker(
        "Look",
        json!({"command": command, "worktree": true, "copy": [".env"], "link": ["ignored"]}),
    );
    let run = sandbox.start("Look");
    let end = run.ended();
    assert_eq!(run.log(), "SETTING=1\nwarm\nlinked\n");
    assert!(end["data"].get("preserved_ref").is_none_or(serde_json::Value::is_null), "{end}");
    assert!(sandbox.project.join("ignored/cache").exists(), "what is linked survives");
    sandbox.assert_clean();
}

/// What Git LFS does, as far as git can see: a file is a pointer in the repository and whole in a checkout.
#[test]
fn large_files_are_left_to_the_users_filter() {
    let sandbox = Sandbox::new();
    sandbox.git(["config", "filter.lfs.clean", "sed s/^whole/pointer/"]);
    sandbox.git(["config", "filter.lfs.smudge", "sed s/^pointer/whole/"]);
    sandbox.git(["config", "filter.lfs.required", "true"]);
    sandbox.write(".gitattributes", "*.bin filter=lfs\n");
    sandbox.write("a.bin", "whole a\n");
    sandbox.commit("A large file");
    assert_eq!(sandbox.git(["cat-file", "blob", "HEAD:a.bin"]), "pointer a");
    sandbox.worker("Look", json!({"command": "cat a.bin", "worktree": true}));
    let run = sandbox.start("Look");
    let end = run.ended();
    assert_eq!(run.log(), "whole a\n");
    assert!(end["data"].get("preserved_ref").is_none_or(serde_json::Value::is_null), "{end}");
    sandbox.worker("Look", json!({"command": "echo whole b > b.bin", "worktree": true}));
    let end = sandbox.run_to_end("Look");
    let name = end["data"]["preserved_ref"].as_str().unwrap_or_else(|| panic!("{end}"));
    assert_eq!(sandbox.git(["cat-file", "blob", &format!("{name}:b.bin")]), "pointer b");
    sandbox.assert_clean();
}
