//! A `.lattice` that cannot be written: read-only, or on a disk without room. Refused, told, unchanged.

use fs_err as fs;
use serde_json::json;

use crate::harness::call::Finished;
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::tree::Tree;
use crate::harness::waiting::skipped;

const WRITES: [&[&str]; 4] = [
    &["worker", "run", "Fine", "LAT-1"],
    &["create", "New", "--actor", ACTOR],
    &["comment", "LAT-1", "Hello", "--actor", ACTOR],
    &["attach", "LAT-1", "--inline", "Hello", "--actor", ACTOR],
];

#[track_caller]
fn assert_refused(finished: Finished) {
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
fn a_read_only_directory_with_a_dead_run_is_still_read() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    warden.signal(rustix::process::Signal::STOP);
    shim.kill();
    warden.kill();
    let lattice = sandbox.lattice_dir().display().to_string();
    let mounts = format!("mount --bind {lattice} {lattice} && mount -o remount,bind,ro {lattice}");
    if let Ok(namespace) = Namespace::new(&sandbox, &mounts) {
        let listed = namespace.inside(sandbox.lattice(["list"]), &sandbox.project).run().ok();
        assert!(listed.stdout.contains("LAT-1"), "{listed}");
        assert!(run.terminal().is_none());
    } else {
        skipped("a_read_only_directory_with_a_dead_run_is_still_read", "no mounts");
    }
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

#[test]
fn a_full_disk() {
    let sandbox = Sandbox::empty();
    let disk = sandbox.base.join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=2m tmpfs {}", disk.display());
    let namespace = match Namespace::new(&sandbox, &mount) {
        Ok(namespace) => namespace,
        Err(reason) => return skipped("a_full_disk", &reason),
    };
    let project = disk.join("project");
    namespace.inside(sandbox.program(["mkdir", "project"]), &disk).run().ok();
    let shell = |script: &str| {
        namespace.inside(sandbox.program(["bash", "-c", script]), &project).run().ok()
    };
    shell("git init -q -b main && git config user.name A && git config user.email a@x");
    shell(
        "mkdir workers && echo '{\"name\":\"Fine\",\"command\":\"true\",\"worktree\":true}' > workers/fine.json",
    );
    shell(
        "lattice init --project-code LAT --actor human:ana && lattice create Task --actor human:ana",
    );
    shell("git add -A && git commit -q -m Begin");
    shell("lattice worker run Fine LAT-1 --wait > /dev/null && lattice worker reap");
    shell("cat /dev/zero > ../filler 2>/dev/null; true");
    let seen = namespace.path(&project);
    let tree = || Tree::of(&seen, &[".lattice/locks", ".lattice/runs/.store", "project/.git"]);
    let before = tree();
    for write in WRITES {
        assert_refused(namespace.inside(sandbox.lattice(write).arg("--json"), &project).run());
        let differences = before.differences(&tree());
        assert!(differences.is_empty(), "{write:?} changed {differences:#?}");
    }
    namespace.inside(sandbox.lattice(["list"]), &project).run().ok();
    fs::remove_file(namespace.path(&disk.join("filler"))).unwrap();
    for write in WRITES {
        namespace.inside(sandbox.lattice(write).arg("--json"), &project).run().ok();
    }
    shell("lattice worker wait LAT-1 > /dev/null");
    assert_eq!(shell("git worktree list").stdout.lines().count(), 1);
}
