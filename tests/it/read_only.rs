//! A `.lattice` that cannot be written, because it is mounted read-only: refused, told, unchanged; and still read.

use serde_json::json;

use crate::harness::call::Finished;
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::skipped;

pub const WRITES: [&[&str]; 9] = [
    &["worker", "run", "Fine", "LAT-1"],
    &["create", "New", "--actor", ACTOR],
    &["comment", "LAT-1", "Hello", "--actor", ACTOR],
    &["attach", "LAT-1", "--inline", "Hello", "--actor", ACTOR],
    &["status", "LAT-1", "planned", "--actor", ACTOR],
    &["assign", "LAT-1", "agent:bot", "--actor", ACTOR],
    &["update", "LAT-1", "title=New", "priority=high", "--actor", ACTOR],
    &["event", "LAT-1", "x_a", "--actor", ACTOR],
    &["branch-link", "LAT-1", "feature", "--actor", ACTOR],
];

/// One clear line that names the place, and the right status.
#[track_caller]
pub fn assert_refused(finished: Finished) {
    let error = finished.silent().refused(1, "IO_ERROR");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(".lattice"), "the operation and the path are named: {message}");
}

#[test]
fn a_read_only_directory() {
    let sandbox = Sandbox::new();
    sandbox.worker("Fine", json!({"command": "true", "worktree": true}));
    // A first run, so that nothing has to be made that could be refused for another reason.
    sandbox.run_to_end("Fine");
    sandbox.assert_clean();
    let lattice = sandbox.lattice_dir().display().to_string();
    let mounts = format!("mount --bind {lattice} {lattice} && mount -o remount,bind,ro {lattice}");
    let namespace = match Namespace::new(&sandbox, &mounts) {
        Ok(namespace) => namespace,
        Err(reason) => return skipped("a_read_only_directory", &reason),
    };
    let before = sandbox.tree();
    for write in WRITES {
        assert_refused(
            namespace.inside(sandbox.lattice(write).arg("--json"), &sandbox.project).run(),
        );
    }
    for read in [&["list"][..], &["show", "LAT-1"], &["worker", "list"], &["worker", "ps"]] {
        let finished = namespace.inside(sandbox.lattice(read), &sandbox.project).run().ok();
        assert!(!finished.stdout.is_empty(), "{finished}");
    }
    sandbox.assert_unchanged(&before);
    assert!(sandbox.git(["worktree", "list"]).lines().count() == 1);
}

#[test]
fn m19_a_read_only_directory_with_a_dead_run_is_still_read() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    let lattice = sandbox.lattice_dir().display().to_string();
    let mounts = format!("mount --bind {lattice} {lattice} && mount -o remount,bind,ro {lattice}");
    if let Ok(namespace) = Namespace::new(&sandbox, &mounts) {
        for words in [&["list"][..], &["show", "LAT-1"], &["worker", "ps"]] {
            let listed = namespace.inside(sandbox.lattice(words), &sandbox.project).run().ok();
            assert!(listed.stdout.contains("LAT-1"), "{listed}");
            assert!(listed.stderr.contains(&run.id), "why it is still open is told: {listed}");
        }
        assert!(run.terminal().is_none());
    } else {
        skipped("m19_a_read_only_directory_with_a_dead_run_is_still_read", "no mounts");
    }
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}
