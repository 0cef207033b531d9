//! `worker prune`: what is old and over goes, what is young, open or somebody else's stays.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::Sandbox;

fn prune(sandbox: &Sandbox, options: &[&str]) -> Value {
    call(sandbox, options).ok().silent().data()
}

fn call(sandbox: &Sandbox, options: &[&str]) -> Finished {
    let call = sandbox.lattice(["worker", "prune", "--json"]);
    options.iter().fold(call, |call, option| call.arg(*option)).run()
}

fn kinds(pruned: &Value) -> Vec<&str> {
    pruned.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

/// Moves what a run has left in `logs/workers/` into the past.
fn age(sandbox: &Sandbox, run: &str, days: u32) {
    sandbox.sh(&format!("touch -d '{days} days ago' .lattice/logs/workers/{run}.*"));
}

fn ended(sandbox: &Sandbox, script: &str) -> String {
    sandbox.worker("Work", json!({"command": script, "worktree": true}));
    let end = sandbox.run_to_end("Work");
    sandbox.record_of(&end);
    end["data"]["started_event_id"].as_str().unwrap().to_owned()
}

impl Sandbox {
    fn record_of(&self, end: &Value) {
        let id = end["data"]["started_event_id"].as_str().unwrap();
        let gone = self.lattice_dir().join("runs").join(id);
        crate::harness::waiting::eventually(
            "the end of the run",
            crate::harness::waiting::SOON,
            || {
                if gone.exists() { Err(gone.display().to_string()) } else { Ok(()) }
            },
        );
    }
}

#[test]
fn logs_and_records_go_when_they_are_old() {
    let sandbox = Sandbox::new();
    let old = ended(&sandbox, "echo old");
    let young = ended(&sandbox, "echo young");
    age(&sandbox, &old, 31);
    age(&sandbox, &young, 29);
    let log = sandbox.lattice_dir().join(format!("logs/workers/{old}.log"));
    let record = log.with_extension("json");
    let planned = prune(&sandbox, &["--dry-run"]);
    assert_eq!(
        planned,
        json!([
            {"kind": "record", "path": record.display().to_string(), "bytes": fs::metadata(&record).unwrap().len()},
            {"kind": "log", "path": log.display().to_string(), "bytes": 4},
        ])
    );
    assert!(log.exists() && record.exists(), "a dry run removes nothing");
    assert_eq!(prune(&sandbox, &[]), planned);
    assert!(!log.exists() && !record.exists());
    assert_eq!(prune(&sandbox, &[]), json!([]));
    // Its events are what is left of it, and still show it.
    let shown = sandbox.lattice(["worker", "show", &old, "--json"]).run().ok().data();
    assert_eq!(
        (&shown["spec"], &shown["ended"]["type"]),
        (&Value::Null, &json!("process_completed"))
    );
    sandbox.lattice(["worker", "show", &old[old.len() - 6..]]).run().ok();
    let error = sandbox.lattice(["worker", "rerun", &old, "--json"]).run().refused(1, "NOT_FOUND");
    assert!(error["hint"].to_string().contains("lattice worker run Work"), "{error}");
    assert_eq!(kinds(&prune(&sandbox, &["--keep-days", "28.5"])), ["record", "log"]);
}

#[test]
fn the_configuration_says_how_long() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "echo x");
    sandbox.assert_clean();
    age(&sandbox, &run, 5);
    // Where there is a pool, it has room for the worktree.
    sandbox.configure("workers", json!({"keep_days": 6, "worktree_pool": 1}));
    assert_eq!(prune(&sandbox, &[]), json!([]));
    sandbox.configure("workers", json!({"keep_days": 4, "worktree_pool": 1}));
    assert_eq!(kinds(&prune(&sandbox, &[])), ["record", "log"]);
}

#[test]
fn what_is_printed() {
    let sandbox = Sandbox::new();
    sandbox.lattice(["worker", "prune"]).run().ok().silent().stdout("Nothing to prune.\n");
    let run = ended(&sandbox, "echo x");
    sandbox.sh(&format!("truncate -s 3 .lattice/logs/workers/{run}.json"));
    fs::remove_file(sandbox.lattice_dir().join(format!("logs/workers/{run}.log"))).unwrap();
    let call =
        |option: &str| sandbox.lattice(["worker", "prune", "--keep-days", "0", option]).run();
    call("--dry-run").ok().stdout(
        "  record          3 B  $DIR/.lattice/logs/workers/<ev1>.json\nWould remove 1 item, 3 B.\n",
    );
    call("--refs").ok().stdout(
        "  record          3 B  $DIR/.lattice/logs/workers/<ev1>.json\nRemoved 1 item, 3 B.\n",
    );
    sandbox.lattice(["worker", "prune", "--keep-days", "-1"]).run().exits(2);
}

#[test]
fn an_open_run_keeps_everything() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["print=hello", "connect=main", "wait"]);
    sandbox.worker("Open", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Open");
    let main = sandbox.socket.peer("main");
    age(&sandbox, &run.id, 400);
    assert_eq!(prune(&sandbox, &["--keep-days", "0", "--refs"]), json!([]));
    // Not even if somebody has removed its directory (`git clean -fdx`).
    fs::rename(run.directory(), sandbox.base.join("taken")).unwrap();
    assert_eq!(prune(&sandbox, &["--keep-days", "0", "--refs"]), json!([]));
    fs::rename(sandbox.base.join("taken"), run.directory()).unwrap();
    assert!(!main.is_dead());
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn refs_go_only_when_that_is_said() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "echo 1 > one");
    let name = format!("refs/lattice/runs/{run}");
    let stranger = "refs/lattice/runs/ev_01A00000000000000000000000";
    sandbox.git(["update-ref", stranger, "HEAD"]);
    sandbox.git(["update-ref", "refs/lattice/other", "HEAD"]);
    age(&sandbox, &run, 31);
    assert_eq!(kinds(&prune(&sandbox, &["--dry-run"])), ["record", "log"]);
    let pruned = prune(&sandbox, &["--refs"]);
    assert_eq!(kinds(&pruned), ["record", "log", "ref"]);
    assert_eq!(pruned[2], json!({"kind": "ref", "ref": name, "bytes": 0}));
    // Of a run that nobody here knows: another project in this repository may.
    let left = sandbox.git(["for-each-ref", "--format=%(refname)", "refs/lattice"]);
    assert_eq!(left, format!("refs/lattice/other\n{stranger}"));
}

#[test]
fn a_young_ref_stays() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "echo 1 > one");
    assert_eq!(prune(&sandbox, &["--refs"]), json!([]));
    sandbox.git(["rev-parse", "--verify", &format!("refs/lattice/runs/{run}")]);
    assert_eq!(kinds(&prune(&sandbox, &["--refs", "--keep-days", "0"])), ["record", "log", "ref"]);
}

#[test]
fn a_kept_worktree_stays_for_its_time_and_then_goes_whole() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "git init -q inner; echo precious > inner/file");
    sandbox.assert_left(&["worktree ", "entry ", "listed "]);
    assert_eq!(prune(&sandbox, &[]), json!([]), "it holds the only copy of something");
    age(&sandbox, &run, 31);
    let pruned = prune(&sandbox, &[]);
    assert_eq!(kinds(&pruned), ["record", "log", "worktree"]);
    assert!(pruned[2]["bytes"].as_u64().unwrap() > 0);
    sandbox.assert_clean();
}

#[test]
fn worktrees_that_are_not_provably_a_runs_stay() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "echo x");
    age(&sandbox, &run, 31);
    let reason = format!("lattice {run} kept: test");
    // The user's own, with whatever reason; one whose halves do not point at each other; one elsewhere.
    sandbox.sh(&format!(
        "git worktree add -q --detach --lock --reason mine .lattice/worktrees/mine
         git worktree add -q --detach .lattice/worktrees/unlocked
         git worktree add -q --detach --lock --reason '{reason}' .lattice/worktrees/moved
         git worktree add -q --detach --lock --reason '{reason}' ../elsewhere
         git worktree add -q --detach --lock --reason '{reason}' .lattice/worktrees/ours
         git worktree add -q --detach --lock --reason '{reason}' .lattice/worktrees/occupied
         mv .lattice/worktrees/moved ../moved"
    ));
    let steps = ["connect=tenant", "wait"];
    let directory = sandbox.lattice_dir().join("worktrees/occupied");
    let cookie = ("LATTICE_STARTED_EVENT_ID", run.as_str());
    let tenant = sandbox.program(sandbox.fake_argv(&steps)).env(cookie.0, cookie.1);
    let tenant = tenant.current_dir(&directory).start();
    let peer = sandbox.socket.peer("tenant");
    assert_eq!(
        kinds(&prune(&sandbox, &["--dry-run"])),
        ["record", "log"],
        "a process of the run is alive"
    );
    peer.tell("exit 0");
    tenant.finish().ok();
    let pruned = prune(&sandbox, &[]);
    assert_eq!(kinds(&pruned), ["record", "log", "worktree", "worktree"], "{pruned}");
    let listed = sandbox.git(["worktree", "list", "--porcelain"]);
    for stays in ["worktrees/mine\n", "worktrees/unlocked\n", "/elsewhere\n"] {
        assert!(listed.contains(stays), "{stays} {listed}");
    }
    assert!(sandbox.base.join("moved/README.md").exists());
    assert!(
        !listed.contains("worktrees/ours\n") && !listed.contains("worktrees/occupied\n"),
        "{listed}"
    );
}

#[test]
fn trash_goes_at_once() {
    let sandbox = Sandbox::new();
    ended(&sandbox, "echo x");
    sandbox.sh("mkdir -p .lattice/worktrees/.trash-x/d .lattice/runs/.old-ev_01JABCDEFGHJKMNPQRSTVWXYZ0; echo hello > .lattice/worktrees/.trash-x/d/f");
    let planned = prune(&sandbox, &["--dry-run"]);
    assert_eq!(kinds(&planned), ["trash", "trash"]);
    assert_eq!(planned[0]["bytes"], 6);
    prune(&sandbox, &[]);
    sandbox.assert_clean();
}

/// While git has taken the end out of the log, the record is the only copy of it.
#[test]
fn a_record_that_no_log_tells_stays() {
    let sandbox = Sandbox::new();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let before = fs::read(&log).unwrap();
    let run = ended(&sandbox, "echo x");
    let after = fs::read(&log).unwrap();
    age(&sandbox, &run, 400);
    fs::write(&log, before).unwrap();
    assert_eq!(kinds(&prune(&sandbox, &[])), ["log"]);
    fs::write(&log, after).unwrap();
    assert_eq!(kinds(&prune(&sandbox, &[])), ["record"]);
}

#[test]
fn what_cannot_be_removed_is_named_and_the_rest_goes() {
    let sandbox = Sandbox::new();
    let run = ended(&sandbox, "echo x");
    age(&sandbox, &run, 31);
    // A directory in the place of a file cannot be unlinked, not even by root.
    sandbox.sh(&format!("cd .lattice/logs/workers && rm {run}.log && mkdir {run}.log && touch -d '31 days ago' {run}.log"));
    let pruned = call(&sandbox, &[]).ok();
    assert_eq!(kinds(&pruned.data()), ["record"]);
    assert!(pruned.json()["warnings"].to_string().contains(&format!("{run}.log")), "{pruned}");
    call(&sandbox, &["--keep-days", "0"]).refused(1, "IO_ERROR");
}
