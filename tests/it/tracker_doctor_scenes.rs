//! `doctor` and what surrounds the tasks: runs, worktrees, clones, several things broken at once.

use std::collections::BTreeSet;

use fs_err as fs;
use serde_json::json;

use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::SOON;
use crate::tracker_doctor::{doctor, findings, path, project};

#[test]
fn a_dead_run_is_found_and_ended() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    assert_eq!(findings(&doctor(&sandbox, &[]).ok()), [""; 0], "a run that lives is fine");
    let (shim, warden) = run.supervisors(&main);
    warden.signal(rustix::process::Signal::STOP);
    shim.kill();
    warden.kill();
    [&shim, &warden, &*main].iter().for_each(|process| process.wait_dead(SOON));
    let found = doctor(&sandbox, &["--fix"]).ok();
    assert_eq!(findings(&found), [""; 0], "{found}");
    assert_eq!(found.data()["fixed"][0]["check"], "run", "{found}");
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn what_is_left_of_runs_is_named_and_trash_goes() {
    let sandbox = project();
    sandbox.sh("cd .lattice && rm late archived && mkdir -p worktrees/.trash-x/a worktrees/mine runs/.old-x runs/.bad-ev_x");
    let spec = sandbox.lattice_dir().join("runs/ev_01KA00000000000000000000R1/spec.json");
    fs::create_dir_all(spec.parent().unwrap()).unwrap();
    fs::write(&spec, "{torn").unwrap();
    let found = doctor(&sandbox, &[]).ok();
    let expected =
        ["warning leftover", "warning leftover", "warning run", "warning run", "warning worktree"];
    assert_eq!(findings(&found), expected, "{found}");
    let found = doctor(&sandbox, &["--fix"]).ok();
    let stays: BTreeSet<String> = findings(&found).into_iter().collect();
    assert!(!stays.contains("warning leftover") && stays.contains("warning worktree"), "{found}");
    assert!(sandbox.lattice_dir().join("worktrees/mine").is_dir());
    assert!(!sandbox.lattice_dir().join("worktrees/.trash-x").exists());
}

#[test]
fn a_run_of_another_machine_is_unsupervised() {
    let sandbox = project();
    let start = json!({"actor": ACTOR, "data": {"process_type": "Lint", "commit_sha": "unknown", "timeout_minutes": 1},
        "id": "ev_01KA00000000000000000000R1", "schema_version": 1, "task_id": sandbox.task,
        "ts": "2026-03-01T10:00:00Z", "type": "process_started"});
    let end = |id: &str| {
        json!({"actor": ACTOR, "data": {"process_type": "Lint", "started_event_id": "ev_01KA00000000000000000000R1"},
            "id": id, "schema_version": 1, "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "process_completed"})
    };
    sandbox.sh("rm .lattice/late .lattice/archived");
    let log = fs::read_to_string(path(&sandbox, "events/T.jsonl")).unwrap();
    fs::write(path(&sandbox, "events/T.jsonl"), format!("{log}{start}\n")).unwrap();
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok();
    assert_eq!(findings(&doctor(&sandbox, &["--fix"]).ok()), ["warning run"]);
    let refused =
        sandbox.lattice(["archive", "LAT-1", "--force", "--actor", ACTOR, "--json"]).run();
    refused.refused(1, "NOT_SUPERVISED");
    // Two ends that a merge has brought together.
    let text = format!(
        "{log}{start}\n{}\n{}\n",
        end("ev_01KA00000000000000000000E1"),
        end("ev_01KA00000000000000000000E2")
    );
    fs::write(path(&sandbox, "events/T.jsonl"), text).unwrap();
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok();
    assert_eq!(findings(&doctor(&sandbox, &["--fix"]).ok()), ["warning duplicate_event"]);
}

#[test]
fn a_fresh_clone_is_completed() {
    let sandbox = Sandbox::new();
    sandbox.sh("git clone -q . ../clone && cp .git/config ../clone/.git/config");
    let clone = sandbox.base.join("clone");
    let call = |options: &[&str]| {
        sandbox
            .lattice(["doctor", "--json"].iter().chain(options).copied())
            .current_dir(&clone)
            .run()
            .ok()
    };
    assert_eq!(findings(&call(&[])), ["warning missing_directory"]);
    assert_eq!(findings(&call(&["--fix"])), [""; 0]);
}

#[test]
fn one_broken_thing_hides_nothing() {
    let sandbox = project();
    sandbox.sh("rm .lattice/late .lattice/archived");
    let second = sandbox.create("Second");
    sandbox.sh(&format!("cd .lattice && rm events/{0}.jsonl && mkdir events/{0}.jsonl && echo x >> events/{1}.jsonl && echo x > config.json", sandbox.task, second));
    let found = doctor(&sandbox, &[]).exits(1);
    assert_eq!(
        findings(&found),
        ["error json_parse", "error jsonl_parse", "error jsonl_parse"],
        "{found}"
    );
    doctor(&sandbox, &["--fix"]).exits(1);
    sandbox.lattice(["rebuild", "--all", "--json"]).run();
    assert!(
        fs::read_to_string(sandbox.lattice_dir().join(format!("events/{second}.jsonl")))
            .unwrap()
            .lines()
            .count()
            == 1
    );
}
