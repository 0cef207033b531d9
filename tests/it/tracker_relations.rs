//! `link`, `branch-link` and their opposites; what a review is of, and how far that is behind.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::tracker_refusals::refused;

#[track_caller]
fn call(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    sandbox.lattice(arguments).arg("--actor").arg(ACTOR).run().silent()
}

fn refuse(sandbox: &Sandbox, arguments: &[&str], code: &str) {
    refused(sandbox, &[arguments, &["--actor", ACTOR]].concat(), code);
}

#[test]
fn tasks_are_linked_and_unlinked() {
    let sandbox = Sandbox::without_git();
    let other = sandbox.create("Second");
    let link = ["link", "LAT-1", "blocks", "LAT-2"];
    call(&sandbox, &link).ok().stdout("Linked <task1> --[blocks]--> <task2>\n");
    let last = sandbox.events().pop().unwrap();
    assert_eq!(last["data"], json!({"target_task_id": other, "type": "blocks"}));
    refuse(&sandbox, &link, "CONFLICT");
    let noted = ["link", "LAT-1", "related_to", &other, "--note", "see there"];
    let data = call(&sandbox, &[&noted[..], &["--json"]].concat()).ok().data();
    assert_eq!(data["relationships_out"][1]["note"], "see there");
    let shown = sandbox.lattice(["show", "LAT-2"]).run().ok();
    assert!(shown.stdout.contains("--[blocks]--> this"), "{shown}");
    let unlink = ["unlink", "LAT-1", "blocks", "LAT-2"];
    call(&sandbox, &unlink).ok().stdout("Unlinked <task1> --[blocks]--> <task2>\n");
    refuse(&sandbox, &unlink, "NOT_FOUND");
    let quiet = ["unlink", "LAT-1", "related_to", "LAT-2", "--quiet"];
    call(&sandbox, &quiet).ok().stdout("<task1>\n");
}

#[test]
fn links_that_are_refused() {
    let sandbox = Sandbox::without_git();
    sandbox.create("Second");
    call(&sandbox, &["archive", "LAT-2"]).ok();
    for (words, code) in [
        (["LAT-1", "nonsense", "LAT-1"], "VALIDATION_ERROR"),
        (["LAT-1", "blocks", "LAT-1"], "VALIDATION_ERROR"),
        (["LAT-1", "blocks", "LAT-2"], "NOT_FOUND"),
        (["LAT-2", "blocks", "LAT-1"], "NOT_FOUND"),
        (["LAT-1", "blocks", "LAT-9"], "NOT_FOUND"),
        (["LAT-1", "blocks", "task_01JABCDEFGHJKMNPQRSTVWXYZ0"], "NOT_FOUND"),
        (["LAT-1", "blocks", "nonsense"], "INVALID_ID"),
    ] {
        refuse(&sandbox, &[&["link"], &words[..]].concat(), code);
    }
}

#[test]
fn branches_are_linked_and_unlinked() {
    let sandbox = Sandbox::without_git();
    let link = ["branch-link", "LAT-1", "fix/x"];
    call(&sandbox, &link).ok().stdout("Linked branch 'fix/x' to <task1>\n");
    refuse(&sandbox, &link, "CONFLICT");
    refuse(&sandbox, &[&link[..], &["--repo", " "]].concat(), "CONFLICT");
    let elsewhere = ["branch-link", "LAT-1", "fix/x", "--repo", "docs"];
    call(&sandbox, &elsewhere).ok().stdout("Linked branch 'fix/x' (repo: docs) to <task1>\n");
    let unlink = ["branch-unlink", "LAT-1", "fix/x"];
    call(&sandbox, &unlink).ok().stdout("Unlinked branch 'fix/x' from <task1>\n");
    refuse(&sandbox, &unlink, "NOT_FOUND");
    let rest = call(&sandbox, &["branch-link", "LAT-1", "main", "--json"]).ok().data();
    assert_eq!(rest["branch_links"].as_array().unwrap().len(), 2);
    for name in ["", " ", "-x", "a\tb"] {
        refuse(&sandbox, &["branch-link", "LAT-1", name], "VALIDATION_ERROR");
        refuse(&sandbox, &["branch-unlink", "LAT-1", name], "VALIDATION_ERROR");
    }
}

#[test]
fn branches_and_commits_that_name_a_task_are_shown_with_it() {
    let sandbox = Sandbox::new();
    sandbox.commit("Prepare lat-1\n\nNothing yet.");
    sandbox.commit("LAT-12: not this one");
    for name in ["feat/lat-1-parser", "LAT-1", "feat/LAT-11", "other"] {
        sandbox.git(["branch", name]);
    }
    sandbox.git(["pack-refs", "--all"]);
    sandbox.git(["branch", "hot/LAT-1"]);
    call(&sandbox, &["branch-link", "LAT-1", "LAT-1"]).ok();
    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().silent().data();
    assert_eq!(data["auto_detected_branches"], json!(["feat/lat-1-parser", "hot/LAT-1"]));
    let commits = data["auto_detected_commits"].as_array().unwrap();
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0]["subject"], "Prepare lat-1");
    let shown = sandbox.lattice(["show", "LAT-1"]).run().ok();
    let sections = format!(
        "Branch links:\n  LAT-1 by human:ana\n  feat/lat-1-parser (auto-detected)\n  \
         hot/LAT-1 (auto-detected)\n\nCommits:\n  {}  {}  Prepare lat-1\n",
        commits[0]["sha"].as_str().unwrap(),
        commits[0]["date"].as_str().unwrap()
    );
    assert!(shown.stdout.contains(&sections), "{shown}");
}

fn metadata(sandbox: &Sandbox, artifact: &Value) -> Value {
    let id = artifact.as_str().unwrap();
    let path = sandbox.lattice_dir().join(format!("artifacts/meta/{id}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[track_caller]
fn review(sandbox: &Sandbox) -> Value {
    let words = ["attach", "LAT-1", "--inline", "Good", "--role", "review", "--json"];
    call(sandbox, &words).ok().data()
}

#[test]
fn a_review_says_of_which_commit_it_is_and_how_far_that_is_behind() {
    let sandbox = Sandbox::new();
    let head = sandbox.git(["rev-parse", "HEAD"]);
    let artifact = review(&sandbox);
    assert_eq!(artifact["custom_fields"], json!({"commit_sha": head}));
    let short = &head[..7];
    let shows = |drift: &str| {
        let shown = sandbox.lattice(["show", "LAT-1"]).run().ok().silent();
        let words = format!("Review evidence:\n  review: artifact\n  review @ {short}, {drift}\n");
        assert!(shown.stdout.contains(&words), "{shown}");
    };
    let line = "LAT-1  backlog  medium  task  \"First task\"  unassigned";
    shows("current");
    sandbox.lattice(["list"]).run().ok().stdout(&format!("{line}\n"));
    sandbox.commit("One more");
    shows("1 commit behind");
    sandbox.commit("And another");
    shows("2 commits behind");
    let listed = format!("{line}  [review @ {short}, 2 commits behind]\n");
    sandbox.lattice(["list"]).run().ok().silent().stdout(&listed);
    let drift = json!({
        "artifact_id": artifact["id"], "commit_sha": head,
        "commits_behind": 2, "drift": "2 commits behind",
    });
    let data = sandbox.lattice(["list", "--json"]).run().ok().data();
    assert_eq!(data[0]["review_drift"], drift);
    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(data["review_drift"], drift);
    sandbox.git(["checkout", "-q", "--orphan", "other"]);
    sandbox.commit("Begin elsewhere");
    shows("not in the history of HEAD");
    // Where there is no git, there is nothing to say.
    let shown = sandbox.lattice(["show", "LAT-1"]).env("PATH", "/nonexistent").run().ok();
    assert!(!shown.stdout.contains("review @"), "{shown}");
}

#[test]
fn git_is_called_once_or_not_at_all() {
    let sandbox = Sandbox::new();
    sandbox.create("Second");
    sandbox.worker("Work", json!({"command": "true", "worktree": true}));
    sandbox.start("Work").ended();
    sandbox.assert_clean();
    let bin = sandbox.base.join("counting");
    let calls = bin.join("calls");
    let script = format!(
        "mkdir {0} && printf '#!/bin/sh\\necho call >> {0}/calls\\nexec %s \"$@\"\\n' $(command -v git) > {0}/git && \
         chmod +x {0}/git && touch {0}/calls && echo $PATH",
        bin.display()
    );
    let path = format!("{}:{}", bin.display(), sandbox.sh(&script).stdout.trim_end());
    let count = |words: &[&str]| {
        fs::write(&calls, "").unwrap();
        sandbox.lattice(words).env("PATH", &path).run().ok().silent();
        fs::read_to_string(&calls).unwrap().lines().count()
    };
    assert_eq!(count(&["list"]), 0, "no review says what it is of");
    let attach = |task| ["attach", task, "--inline", "Good", "--role", "review", "--actor", ACTOR];
    for task in ["LAT-1", "LAT-2"] {
        assert_eq!(count(&attach(task)), 1);
    }
    sandbox.commit("One more");
    assert_eq!(count(&["list"]), 1);
    assert_eq!(count(&["show", "LAT-1"]), 1);
    assert_eq!(count(&["next"]), 0);
    assert_eq!(count(&["status", "LAT-1", "planned", "--actor", ACTOR]), 0);
}

#[test]
fn without_a_repository_or_a_role_no_commit_is_named() {
    let sandbox = Sandbox::without_git();
    assert_eq!(review(&sandbox)["custom_fields"], json!({}));
    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().silent().data();
    assert_eq!(data.get("review_drift"), None);
    let sandbox = Sandbox::new();
    let note = call(&sandbox, &["attach", "LAT-1", "--inline", "A note", "--json"]).ok().data();
    assert_eq!(note["custom_fields"], json!({}));
    let url = ["attach", "LAT-1", "https://example.org", "--role", "review", "--json"];
    let fields = call(&sandbox, &url).ok().data()["custom_fields"].clone();
    assert_eq!(fields["url"], "https://example.org");
    assert_eq!(fields["commit_sha"], sandbox.git(["rev-parse", "HEAD"]));
}

fn wants_fresh_review(sandbox: &Sandbox) {
    let path = sandbox.lattice_dir().join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut workflow = config["workflow"].clone();
    workflow["completion_policies"] = json!({"done": {"require_fresh_review": true}});
    sandbox.configure("workflow", workflow);
}

#[test]
fn a_stale_review_does_not_complete() {
    let sandbox = Sandbox::new();
    wants_fresh_review(&sandbox);
    for status in ["planned", "review"] {
        call(&sandbox, &["status", "LAT-1", status]).ok();
    }
    let done = ["status", "LAT-1", "done"];
    let blocked = |words: &str| {
        refuse(&sandbox, &done, "COMPLETION_BLOCKED");
        let refused = call(&sandbox, &[&done[..], &["--json"]].concat());
        let message = refused.error()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    };
    blocked("no artifact has the role review");
    call(&sandbox, &["comment", "LAT-1", "Good", "--role", "review"]).ok();
    blocked("no artifact has the role review");
    let old = sandbox.git(["rev-parse", "HEAD"]);
    review(&sandbox);
    for number in 1..=3 {
        sandbox.commit(&format!("More, {number}"));
    }
    blocked(&format!("the newest review is of {}, 3 commits behind", &old[..7]));
    let refused = sandbox.lattice(done).arg("--actor").arg(ACTOR).env("PATH", "/nonexistent").run();
    assert!(refused.exits(1).stderr.contains("cannot be compared"));
    review(&sandbox);
    call(&sandbox, &done).ok().stdout("Status: review -> done (LAT-1)\n");
}

#[test]
fn complete_brings_its_own_fresh_review() {
    let sandbox = Sandbox::new();
    wants_fresh_review(&sandbox);
    call(&sandbox, &["status", "LAT-1", "planned"]).ok();
    let complete = ["complete", "LAT-1", "--review", "Good", "--json"];
    let data = call(&sandbox, &complete).ok().data();
    let artifact = metadata(&sandbox, &data["evidence_refs"][1]["id"]);
    assert_eq!(artifact["custom_fields"]["commit_sha"], sandbox.git(["rev-parse", "HEAD"]));
}

/// A worker speaks of the commit that it sees, whatever happened since.
#[test]
fn a_worker_reviews_the_commit_that_it_is_frozen_at() {
    let sandbox = Sandbox::new();
    let script = "lattice attach $LATTICE_TASK_ID --inline Good --role review --quiet";
    sandbox.worker("Review", json!({"command": script, "worktree": true}));
    let frozen = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.commit("What the worker does not see");
    let run = sandbox.lattice(["worker", "run", "Review", "LAT-1", "--commit", &frozen, "--json"]);
    let run = sandbox.run_of(&run.run().ok().data());
    assert_eq!(run.ended()["type"], "process_completed", "{}", run.log());
    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(data["review_drift"]["commit_sha"], frozen);
    assert_eq!(data["review_drift"]["commits_behind"], 1);
    sandbox.assert_clean();
}
