//! What a worker leaves in its worktree is on `refs/lattice/runs/<RunId>`, or the worktree is kept.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::Sandbox;

fn worker(sandbox: &Sandbox, script: &str) {
    sandbox.worker("Work", json!({"command": script, "worktree": true}));
}

/// The ref of a run, which the terminal event names.
#[track_caller]
fn preserved(end: &Value) -> String {
    let name = format!("refs/lattice/runs/{}", end["data"]["started_event_id"].as_str().unwrap());
    assert_eq!(end["data"]["preserved_ref"], name, "{end}");
    name
}

fn refs(sandbox: &Sandbox) -> String {
    sandbox.git(["for-each-ref", "refs/lattice"])
}

#[test]
fn an_unchanged_worktree_needs_no_ref() {
    let sandbox = Sandbox::new();
    worker(&sandbox, "cat README.md");
    let end = sandbox.run_to_end("Work");
    assert!(end["data"].get("preserved_ref").is_none_or(Value::is_null), "{end}");
    sandbox.assert_clean();
    assert_eq!(refs(&sandbox), "");
}

#[test]
fn changes_staged_or_not_and_new_files_are_saved() {
    let sandbox = Sandbox::new();
    sandbox.write("staged", "old\n");
    sandbox.write("removed", "old\n");
    sandbox.write(".gitignore", "ignored\n");
    sandbox.commit("Files");
    worker(
        &sandbox,
        "echo changed > README.md; echo new > staged; git add staged; rm removed; mkdir d; echo x > 'd/new file'; \
         echo no > ignored; ln -s README.md link; echo '#!/bin/sh' > run.sh; chmod +x run.sh; exit 3",
    );
    let end = sandbox.run_to_end("Work");
    let name = preserved(&end);
    let show = |path: &str| sandbox.git(["show", &format!("{name}:{path}")]);
    assert_eq!(
        (show("README.md"), show("staged"), show("d/new file")),
        ("changed".into(), "new".into(), "x".into())
    );
    let tree = sandbox.git(["ls-tree", "-r", &name]);
    assert!(!tree.contains("ignored\n") && !tree.contains("\tremoved"), "{tree}");
    assert!(tree.contains("100755") && tree.contains("120000"), "{tree}");
    sandbox.assert_clean();
}

#[test]
fn commits_are_saved_and_what_comes_on_top_of_them() {
    let sandbox = Sandbox::new();
    let base = sandbox.git(["rev-parse", "HEAD"]);
    worker(
        &sandbox,
        "git config user.name W; git config user.email w@example.org; echo 1 > one; git add one; git commit -q -m One; \
         git rev-parse HEAD; echo 2 > two",
    );
    sandbox.sh("git config --worktree --list >/dev/null 2>&1; true");
    let run = sandbox.start("Work");
    let name = preserved(&run.ended());
    let commit = run.log().lines().next().unwrap().to_owned();
    sandbox.git(["merge-base", "--is-ancestor", &commit, &name]);
    sandbox.git(["merge-base", "--is-ancestor", &base, &name]);
    assert_eq!(sandbox.git(["show", &format!("{name}:two")]), "2");
    assert_eq!(sandbox.git(["show", &format!("{name}:one")]), "1");
    sandbox.assert_clean();
}

#[test]
fn m7_a_commit_that_was_checked_out_of_sight_is_saved() {
    let sandbox = Sandbox::new();
    worker(
        &sandbox,
        "echo 1 > one; git add one; git -c user.name=W -c user.email=w@x commit -q -m One; git rev-parse HEAD; \
         git checkout -q HEAD~1",
    );
    let run = sandbox.start("Work");
    let name = preserved(&run.ended());
    let commit = run.log().lines().next().unwrap().to_owned();
    sandbox.git(["merge-base", "--is-ancestor", &commit, &name]);
    sandbox.sh("git gc -q --prune=now");
    sandbox.git(["cat-file", "-e", &commit]);
    sandbox.assert_clean();
}

#[test]
fn work_is_saved_however_the_run_ends() {
    for how in ["timeout", "shim", "both"] {
        let sandbox = Sandbox::new();
        let path = if how == "timeout" { "0.02" } else { "10" };
        let command = sandbox.fake(&["write=precious:work\n", "connect=main", "wait"]);
        let timeout: f64 = path.parse().unwrap();
        let definition = json!({"command": command, "worktree": true, "timeout_minutes": timeout, "grace_seconds": 1});
        sandbox.worker("Work", definition);
        let run = sandbox.start("Work");
        let main = sandbox.socket.peer("main");
        match how {
            "shim" => main.parent().kill(),
            "both" => {
                run.lose_supervisors(&main);
                sandbox.lattice(["worker", "reap"]).run().ok();
            }
            _ => {}
        }
        let name = preserved(&run.ended());
        assert_eq!(sandbox.git(["show", &format!("{name}:precious")]), "work", "{how}");
        sandbox.assert_clean();
    }
}

#[test]
fn f4_a_repository_without_identity_and_with_demanding_hooks_saves_too() {
    let sandbox = Sandbox::new();
    worker(&sandbox, "echo 1 > one");
    sandbox.git(["config", "--unset", "user.name"]);
    sandbox.git(["config", "--unset", "user.email"]);
    sandbox.git(["config", "user.useConfigOnly", "true"]);
    sandbox.git(["config", "commit.gpgSign", "true"]);
    sandbox.git(["config", "gpg.program", "/nonexistent"]);
    fs::create_dir_all(sandbox.project.join(".git/hooks")).unwrap();
    fs::write(sandbox.project.join(".git/hooks/reference-transaction"), "#!/bin/sh\nexit 1\n")
        .unwrap();
    sandbox.sh("chmod +x .git/hooks/reference-transaction");
    let end = sandbox.run_to_end("Work");
    sandbox.sh("rm .git/hooks/reference-transaction");
    assert_eq!(sandbox.git(["show", &format!("{}:one", preserved(&end))]), "1");
    sandbox.assert_clean();
}

#[test]
fn discard_is_what_the_definition_says() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Work",
        json!({"command": "echo 1 > one", "worktree": true, "on_changes": "discard"}),
    );
    let end = sandbox.run_to_end("Work");
    assert!(end["data"].get("preserved_ref").is_none_or(Value::is_null), "{end}");
    sandbox.assert_clean();
    assert_eq!(refs(&sandbox), "");
}

/// The record tells where the work is, git protects it, and the work is there.
#[track_caller]
fn assert_kept(sandbox: &Sandbox, end: &Value, file: &str) {
    let kept =
        end["data"]["kept_worktree"].as_str().unwrap_or_else(|| panic!("kept_worktree in {end}"));
    assert!(Path::new(kept).join(file).symlink_metadata().is_ok(), "{kept}/{file}");
    let run = end["data"]["started_event_id"].as_str().unwrap();
    sandbox.assert_left(&["worktree ", "entry ", "listed "]);
    let listed = sandbox.git(["worktree", "list", "--porcelain"]);
    // Quoted by git where the reason holds a quotation mark.
    let locked = [format!("locked lattice {run}"), format!("locked \"lattice {run}")];
    assert!(locked.iter().any(|line| listed.contains(line)), "{listed}");
    let shown = sandbox.lattice(["worker", "show", run]).run().ok();
    assert!(shown.stdout.contains(kept), "{shown}");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn f4_an_embedded_repository_keeps_the_worktree() {
    let sandbox = Sandbox::new();
    worker(&sandbox, "git init -q inner; echo precious > inner/file");
    let end = sandbox.run_to_end("Work");
    assert_eq!(end["type"], "process_completed", "{end}");
    assert_kept(&sandbox, &end, "inner/file");
}

#[test]
fn f4_an_embedded_repository_with_a_commit_keeps_the_worktree() {
    let sandbox = Sandbox::new();
    worker(
        &sandbox,
        "git init -q inner; cd inner; echo precious > file; git add file; git -c user.name=W -c user.email=w@x commit -q -m I",
    );
    assert_kept(&sandbox, &sandbox.run_to_end("Work"), "inner/file");
}

#[test]
fn f4_an_unreadable_file_keeps_the_worktree() {
    let sandbox = Sandbox::new();
    worker(&sandbox, "echo precious > secret; chmod 000 secret; test ! -r secret || exit 9");
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    // Root reads everything, unless it gives up its capabilities.
    let is_root = rustix::process::geteuid().is_root();
    let powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    let finished = if is_root { call.through(powerless) } else { call }.run().ok();
    let end = sandbox.run_of(&finished.data()).ended();
    assert_eq!(end["type"], "process_completed", "{end}");
    assert_kept(&sandbox, &end, "secret");
}
