//! `worker diff`, `worker apply` and `worker refs`: getting the work of a run back, whole or not at all.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::disk::Disk;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

pub const COMMIT: &str = "git -c user.name=Wilma -c user.email=w@example.org commit -q";

/// A project with files of every kind, and a worker that does `script` in a worktree of it.
fn project(script: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("changed", "one\ntwo\nthree\nfour\nfive\n");
    sandbox.write("deleted", "gone\n");
    sandbox.write("renamed", "a file that moves\nwith two lines\n");
    sandbox.write("tool", "#!/bin/sh\n");
    sandbox.write("plain", "#!/bin/sh\n");
    sandbox.write("far/away", "untouched\n");
    sandbox.write(".gitignore", "ignored\n");
    sandbox.sh("chmod +x plain");
    sandbox.commit("Files");
    sandbox.worker("Work", json!({"command": script, "worktree": true}));
    sandbox
}

/// Every kind of change, half of it in two commits.
fn everything() -> String {
    format!(
        "set -e; sed -i s/two/TWO/ changed; chmod +x tool; git add -A; {COMMIT} -m 'First of two'; \
         mkdir -p new/deep; echo made > new/deep/file; git mv renamed moved; git rm -q deleted; \
         git add -A; {COMMIT} -m 'Second of two' -m 'With a body: ü'; \
         sed -i s/four/FOUR/ changed; chmod -x plain; echo loose > 'loose file'; ln -s changed link; \
         rm far/away; printf '\\000\\001binary' > image; echo no > ignored"
    )
}

pub fn run(sandbox: &Sandbox) -> String {
    let end = sandbox.run_to_end("Work");
    assert_eq!(end["type"], "process_completed", "{end}");
    sandbox.assert_clean();
    end["data"]["started_event_id"].as_str().unwrap().to_owned()
}

pub fn worker(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let call = sandbox.lattice(["worker"]);
    arguments.iter().fold(call, |call, argument| call.arg(*argument)).run()
}

/// All files of the project but git's and lattice's: content or target, and whether it may be executed.
fn files(sandbox: &Sandbox) -> BTreeMap<String, (String, bool)> {
    let listed = sandbox
        .sh("find . -path ./.git -prune -o -path ./.lattice -prune -o ! -type d -print")
        .stdout;
    let read = |name: &str| {
        let path = sandbox.project.join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_symlink() {
            return (fs::read_link(&path).unwrap().display().to_string(), false);
        }
        let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        (content, metadata.permissions().mode() & 0o111 != 0)
    };
    listed.lines().map(|name| (name.to_owned(), read(name))).collect()
}

/// The tree that the checkout would have if all of it were committed.
pub fn tree(sandbox: &Sandbox) -> String {
    sandbox.sh(
        "export GIT_INDEX_FILE=$PWD/../index; cp .git/index $GIT_INDEX_FILE; git add -A -- . ':!.lattice'; git write-tree",
    )
    .stdout
}

/// What a refusal must leave as it was: the checkout, the index, every ref.
fn state(sandbox: &Sandbox) -> (BTreeMap<String, (String, bool)>, String) {
    let git = "git ls-files --stage; git status --porcelain --untracked-files=all; git for-each-ref; git rev-parse HEAD; git log -g --oneline | wc -l";
    (files(sandbox), sandbox.sh(git).stdout)
}

#[track_caller]
fn assert_conflict(sandbox: &Sandbox, run: &str, words: &str) -> Value {
    let before = state(sandbox);
    let error = worker(sandbox, &["apply", run, "--json"]).refused(1, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    assert!(state(sandbox) == before, "a refusal changes nothing: {error}");
    error
}

#[test]
fn everything_where_it_began_gives_the_same_tree() {
    let sandbox = project(&everything());
    let run = run(&sandbox);
    let applied = worker(&sandbox, &["apply", &run, "--json"]).ok().silent().data();
    let ours = files(&sandbox);
    assert!(!ours.contains_key("./far/away") && !ours.contains_key("./deleted"));
    let work = format!("refs/lattice/runs/{run}");
    assert_eq!(tree(&sandbox).trim(), sandbox.git(["rev-parse", &format!("{work}^{{tree}}")]));
    assert_eq!((ours["./tool"].1, ours["./plain"].1), (true, false));
    assert_eq!(
        (ours["./link"].0.as_str(), ours["./loose file"].0.as_str()),
        ("changed", "loose\n")
    );
    assert_eq!(ours["./changed"].0, "one\nTWO\nthree\nFOUR\nfive\n");
    // Nothing had moved, so they are the run's own two commits.
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), sandbox.git(["rev-parse", &format!("{work}^")]));
    assert_eq!(applied["commits"].as_array().unwrap().len(), 2);
    assert_eq!((&applied["branch"], &applied["head"]), (&json!("main"), &applied["commits"][1]));
    assert_eq!(
        applied["files"],
        json!(["changed", "far/away", "image", "link", "loose file", "plain"])
    );
    // The rest is not committed, and not staged either.
    assert_eq!(sandbox.git(["diff", "--cached", "--name-only"]), "");
    let status = sandbox.git(["status", "--porcelain", "--", ".", ":!.lattice"]);
    for line in
        [" M changed", " D far/away", " M plain", "?? image", "?? link", "?? \"loose file\""]
    {
        assert!(status.lines().any(|found| found == line), "{line} in {status}");
    }
}

#[test]
fn everything_on_a_branch_that_has_moved() {
    let sandbox = project(&everything());
    let run = run(&sandbox);
    sandbox.write("elsewhere", "ours\n");
    sandbox.write("changed", "zero\none\ntwo\nthree\nfour\nfive\nsix\n");
    sandbox.commit("Meanwhile");
    let meanwhile = sandbox.git(["rev-parse", "HEAD"]);
    worker(&sandbox, &["apply", &run]).ok().silent();
    let ours = files(&sandbox);
    assert_eq!(ours["./changed"].0, "zero\none\nTWO\nthree\nFOUR\nfive\nsix\n");
    assert_eq!(ours["./elsewhere"].0, "ours\n");
    assert!(ours.contains_key("./moved") && ours.contains_key("./new/deep/file"));
    let log = sandbox.git(["log", "--format=%an <%ae> %cn|%s|%b", "-2"]);
    assert_eq!(
        log,
        "Wilma <w@example.org> Ana|Second of two|With a body: ü\n\nWilma <w@example.org> Ana|First of two|"
    );
    assert_eq!(sandbox.git(["rev-parse", "HEAD~2"]), meanwhile);
    assert_eq!(sandbox.git(["diff", "--cached", "--name-only"]), "");
}

#[test]
fn a_second_time_the_commits_are_there_already() {
    let script = format!("echo 1 > one; git add one; {COMMIT} -m One");
    let sandbox = project(&script);
    let run = run(&sandbox);
    let short = |revision: &str| sandbox.git(["rev-parse", "--short=8", revision]);
    worker(&sandbox, &["apply", &run]).ok().silent().stdout(&format!(
        "Applied 1 commit onto main (now {}).\n",
        short(&format!("refs/lattice/runs/{run}"))
    ));
    let head = sandbox.git(["rev-parse", "HEAD"]);
    worker(&sandbox, &["apply", &run])
        .ok()
        .stdout("Nothing to apply: all of it is on main already.\n");
    assert_eq!(sandbox.git(["rev-parse", "HEAD"]), head);
}

#[test]
fn a_conflict_in_a_commit_changes_nothing() {
    let sandbox = project(&everything());
    let run = run(&sandbox);
    sandbox.write("changed", "one\nother\nthree\nfour\nfive\n");
    sandbox.commit("In the way");
    let error = assert_conflict(&sandbox, &run, "First of two");
    assert_eq!(error["files"], json!(["changed"]));
}

#[test]
fn a_conflict_in_the_second_commit_or_in_the_rest_changes_nothing() {
    for (file, content, words) in [
        ("deleted", "not gone\n", "Second of two"),
        ("changed", "one\ntwo\nthree\nother\nfive\n", "what it had not committed"),
    ] {
        let sandbox = project(&everything());
        let run = run(&sandbox);
        sandbox.write(file, content);
        sandbox.commit("In the way");
        assert_conflict(&sandbox, &run, words);
    }
}

#[test]
fn changes_of_the_user_stay_and_are_not_overwritten() {
    let sandbox = project(&everything());
    let run = run(&sandbox);
    // Modified, staged, untracked, ignored, and in the way of a directory.
    for (make, file) in [
        ("echo mine >> changed", "changed"),
        ("echo mine >> renamed; git add renamed", "renamed"),
        ("rm far/away", "far/away"),
        ("echo mine > 'loose file'", "loose file"),
        ("echo image >> .git/info/exclude; echo mine > image", "image"),
        ("echo mine > new", "new/deep/file"),
        ("chmod -x plain", "plain"),
    ] {
        sandbox.sh(make);
        let error = assert_conflict(&sandbox, &run, file);
        assert_eq!(error["files"], json!([file]));
        sandbox.sh("git reset -q --hard; git clean -fdxq -e .lattice; : > .git/info/exclude");
    }
    // Elsewhere they are no obstacle, and keep their place.
    sandbox.sh("echo mine > mine; echo staged > staged; git add staged; echo more >> README.md");
    worker(&sandbox, &["apply", &run]).ok();
    let status = sandbox.git(["status", "--porcelain", "--", "mine", "staged", "README.md"]);
    assert_eq!(status, " M README.md\nA  staged\n?? mine");
    assert_eq!(files(&sandbox)["./changed"].0, "one\nTWO\nthree\nFOUR\nfive\n");
}

#[test]
fn an_unfinished_merge_is_not_disturbed() {
    let sandbox = project("echo 1 > one");
    let run = run(&sandbox);
    sandbox.sh("git switch -q -c side HEAD~1; echo x > README.md; git commit -qam X; git switch -q main; echo y > README.md; git commit -qam Y; ! git merge -q side");
    assert_conflict(&sandbox, &run, "a merge is under way");
}

#[test]
fn what_only_lattice_writes_is_not_applied() {
    let sandbox = project("echo '{}' >> .lattice/config.json; echo 1 > one");
    let run = run(&sandbox);
    assert_conflict(&sandbox, &run, ".lattice/config.json");
}

#[test]
fn a_merge_in_the_run_is_one_step() {
    let script = format!(
        "git switch -q -c lattice-test-side; echo s > side; git add side; {COMMIT} -m Side; \
         git switch -q --detach HEAD~1; echo m > main-line; git add main-line; {COMMIT} -m Line; \
         git -c user.name=W -c user.email=w@x merge -q --no-edit lattice-test-side; echo last > last"
    );
    let sandbox = project(&script);
    let run = run(&sandbox);
    sandbox.write("elsewhere", "ours\n");
    sandbox.commit("Meanwhile");
    worker(&sandbox, &["apply", &run]).ok();
    let ours = files(&sandbox);
    assert!(
        ["./side", "./main-line", "./last", "./elsewhere"]
            .iter()
            .all(|name| ours.contains_key(*name))
    );
}

#[test]
fn work_that_does_not_follow_from_its_beginning_is_refused() {
    let sandbox = project("git reset -q --hard HEAD~1; echo 1 > one");
    let run = run(&sandbox);
    assert_conflict(&sandbox, &run, "does not follow");
}

#[test]
fn commits_left_behind_are_named() {
    let script = format!(
        "echo 1 > one; git add one; {COMMIT} -m One; git reset -q --hard HEAD~1; echo 2 > two"
    );
    let sandbox = project(&script);
    let run = run(&sandbox);
    let left = sandbox.git(["rev-parse", &format!("refs/lattice/runs/{run}^2")]);
    let applied = worker(&sandbox, &["apply", &run]).ok();
    assert!(applied.stderr.contains(&format!("git log {left}")), "{applied}");
    assert!(files(&sandbox).contains_key("./two") && !files(&sandbox).contains_key("./one"));
}

#[test]
fn a_detached_head_moves_too() {
    let script = format!("echo 1 > one; git add one; {COMMIT} -m One");
    let sandbox = project(&script);
    let run = run(&sandbox);
    let main = sandbox.git(["rev-parse", "main"]);
    sandbox.git(["switch", "-q", "--detach"]);
    let applied = worker(&sandbox, &["apply", &run]).ok();
    assert!(applied.stdout.contains("onto the detached HEAD"), "{applied}");
    assert_eq!(sandbox.git(["rev-parse", "main"]), main);
    assert_eq!(sandbox.git(["rev-parse", "HEAD~1"]), main);
}

#[test]
fn a_run_that_left_nothing() {
    let sandbox = project("true");
    let run = run(&sandbox);
    worker(&sandbox, &["apply", &run]).ok().silent().stdout("<ev1> left nothing to apply.\n");
    worker(&sandbox, &["diff", &run]).ok().silent().stdout("<ev1> left nothing to save.\n");
    let data = worker(&sandbox, &["diff", &run, "--json"]).ok().data();
    assert_eq!((&data["ref"], &data["files"]), (&Value::Null, &json!([])));
    sandbox.worker("Here", json!({"command": "true"}));
    let end = sandbox.run_to_end("Here");
    let run = end["data"]["started_event_id"].as_str().unwrap();
    for command in ["apply", "diff"] {
        let error = worker(&sandbox, &[command, run, "--json"]).refused(1, "NOT_FOUND");
        assert!(error["message"].to_string().contains("in place"), "{error}");
    }
}

#[test]
fn an_open_run_and_one_without_its_ref_are_refused() {
    let sandbox = project("true");
    let command = sandbox.fake(&["connect=main", "write=one:1", "wait"]);
    sandbox.worker("Open", json!({"command": command, "worktree": true}));
    let started = sandbox.start("Open");
    let main = sandbox.socket.peer("main");
    for command in ["apply", "diff"] {
        worker(&sandbox, &[command, &started.id, "--json"]).refused(3, "STILL_RUNNING");
    }
    main.tell("exit 0");
    started.ended();
    sandbox.assert_clean();
    sandbox.git(["update-ref", "-d", &format!("refs/lattice/runs/{}", started.id)]);
    for command in ["apply", "diff"] {
        worker(&sandbox, &[command, &started.id, "--json"]).refused(1, "NOT_FOUND");
    }
}

#[test]
fn diff_shows_what_git_can_apply() {
    let sandbox = project(&everything());
    let run = run(&sandbox);
    let shown = worker(&sandbox, &["diff", &run]).ok().silent().stdout;
    assert!(!shown.contains('\u{1b}') && shown.contains("+TWO"), "{shown}");
    sandbox.program(["git", "apply", "--index"]).input(shown.clone()).run().ok();
    let work = format!("refs/lattice/runs/{run}^{{tree}}");
    assert_eq!(sandbox.git(["write-tree"]), sandbox.git(["rev-parse", &work]));
    let stat = worker(&sandbox, &["diff", "LAT-1", "--stat"]).ok().stdout;
    assert!(stat.contains(" loose file ") && stat.contains("files changed"), "{stat}");
    let data = worker(&sandbox, &["diff", &run, "--json"]).ok().data();
    assert_eq!(data["patch"], shown);
    let row = |path: &str| {
        data["files"].as_array().unwrap().iter().find(|row| row["path"] == path).unwrap().clone()
    };
    assert_eq!(row("changed"), json!({"path": "changed", "added": 2, "deleted": 2}));
    assert_eq!(row("image"), json!({"path": "image", "added": null, "deleted": null}));
    let names = worker(&sandbox, &["diff", &run, "--quiet"]).ok().stdout;
    assert!(names.lines().any(|line| line == "moved"), "{names}");
}

#[test]
fn refs_lists_what_is_kept() {
    let sandbox = project("echo 1 > one");
    worker(&sandbox, &["refs"]).ok().silent().stdout("No refs of runs.\n");
    let run = run(&sandbox);
    let name = format!("refs/lattice/runs/{run}");
    worker(&sandbox, &["refs", "--quiet"]).ok().silent().stdout("refs/lattice/runs/<ev1>\n");
    let data = worker(&sandbox, &["refs", "--json"]).ok().silent().data();
    let commit = sandbox.git(["rev-parse", &name]);
    assert_eq!((&data[0]["ref"], &data[0]["commit"]), (&json!(name), &json!(commit)));
    assert_eq!(
        (&data[0]["run"], &data[0]["worker"], &data[0]["short_id"], &data[0]["task_id"]),
        (&json!(run), &json!("Work"), &json!("LAT-1"), &json!(sandbox.task))
    );
    let human = worker(&sandbox, &["refs"]).ok().silent().stdout;
    assert!(
        human.contains("LAT-1") && human.contains(&commit[..8]) && human.contains(&name),
        "{human}"
    );
}

/// Git stops in the middle of the files; what it had written is taken back.
#[test]
fn a_disk_that_fills_on_the_way_leaves_nothing_behind() {
    let sandbox = Sandbox::empty();
    let disk = match Disk::new(&sandbox, "8m") {
        Ok(disk) => disk,
        Err(reason) => {
            return skipped("a_disk_that_fills_on_the_way_leaves_nothing_behind", &reason);
        }
    };
    disk.shell("echo old > a-file; git add a-file; git commit -q -m File").run().ok();
    let script =
        "echo new > a-file; mkdir d; echo first > d/file; head -c 1500000 /dev/urandom > z-big";
    disk.define("Work", &json!({"command": script, "worktree": true}));
    disk.lattice(&["worker", "run", "Work", "LAT-1", "--wait"]).run().ok();
    disk.lattice(&["worker", "reap"]).run().ok();
    disk.shell("cat /dev/zero > ../filler 2>/dev/null; truncate -s -400K ../filler").run().ok();
    let state = || {
        disk.shell(
            "cat a-file; ls; git ls-files --stage; git status --porcelain; git rev-parse HEAD",
        )
        .run()
        .ok()
        .stdout
    };
    let before = state();
    disk.lattice(&["worker", "apply", "LAT-1", "--json"]).run().refused(1, "GIT_ERROR");
    assert_eq!(state(), before);
    disk.shell("rm ../filler").run().ok();
    disk.lattice(&["worker", "apply", "LAT-1"]).run().ok();
    assert_eq!(
        disk.shell("cat a-file d/file; wc -c < z-big").run().ok().stdout,
        "new\nfirst\n1500000\n"
    );
}
