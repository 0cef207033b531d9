//! Attack M9: specs and records that are torn, or of a newer version.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;

fn dead_run(sandbox: &Sandbox) -> Run<'_> {
    let command = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    run
}

fn edit(path: &std::path::Path, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

#[test]
fn m9_a_run_of_a_newer_version_is_left_alone_and_named() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    let spec = run.directory().join("spec.json");
    edit(&spec, |spec| spec["version"] = json!(99));
    let before = sandbox.tree();
    let reaped = sandbox.lattice(["worker", "reap", "--json"]).run().ok().data();
    assert_eq!((&reaped[0]["run"], &reaped[0]["action"]), (&json!(run.id), &json!("left")));
    assert!(reaped[0]["reason"].to_string().contains("has version 99"), "{reaped}");
    sandbox.lattice(["list"]).run().ok();
    for words in [
        &["worker", "fail", &run.id, "--json"][..],
        &["worker", "prune", "--keep-days", "0", "--json"],
    ] {
        sandbox.lattice(words).run();
    }
    assert!(run.terminal().is_none());
    sandbox.assert_unchanged(&before);
    edit(&spec, |spec| spec["version"] = json!(1));
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn m9_a_torn_spec_is_set_aside_and_the_run_can_be_ended_by_a_word() {
    let sandbox = Sandbox::new();
    let run = dead_run(&sandbox);
    fs::write(run.directory().join("spec.json"), "{\"version\": 1, \"run_").unwrap();
    let reaped = sandbox.lattice(["worker", "reap", "--json"]).run().ok().data();
    assert!(reaped[0]["reason"].to_string().contains(&format!(".bad-{}", run.id)), "{reaped}");
    assert!(!run.directory().exists());
    // Its time is not over, and nothing of it is known but its start.
    assert!(run.terminal().is_none());
    let data = sandbox.lattice(["worker", "fail", &run.id, "--json"]).run().ok().data();
    assert_eq!(run.terminal().unwrap()["id"], data["event_id"]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
    // What was set aside goes when it is old; the worktree that it led to is nobody's to judge.
    let pruned =
        sandbox.lattice(["worker", "prune", "--keep-days", "0", "--json"]).run().ok().data();
    assert!(pruned.to_string().contains(&format!(".bad-{}", run.id)), "{pruned}");
}

#[test]
fn a_torn_record_is_named_and_in_nobodys_way() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true"}));
    let torn = sandbox.start("Work");
    torn.ended();
    let whole = sandbox.start("Work");
    whole.ended();
    sandbox.assert_clean();
    fs::write(sandbox.lattice_dir().join(format!("logs/workers/{}.json", torn.id)), "{").unwrap();
    let listed = sandbox.lattice(["worker", "ps", "--all", "--json"]).run().ok();
    assert_eq!(listed.data()[0]["run"], whole.id, "{listed}");
    assert!(listed.json()["warnings"].to_string().contains(&torn.id), "{listed}");
    for command in ["fail", "complete"] {
        let said = sandbox.lattice(["worker", command, &torn.id, "--json"]).run();
        assert!(said.code == Some(0) || said.code == Some(1), "{said}");
    }
    let pruned =
        sandbox.lattice(["worker", "prune", "--keep-days", "0", "--json"]).run().ok().data();
    assert!(pruned.to_string().contains(&torn.id), "{pruned}");
    assert_eq!(sandbox.assert_runs_ended(), 2);
}
