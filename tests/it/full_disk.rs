//! A project on a disk without room: refusals that change nothing, and an end that waits for room.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::disk::Disk;
use crate::harness::sandbox::Sandbox;
use crate::harness::tree::Tree;
use crate::harness::waiting::{SOON, eventually, skipped};
use crate::read_only::{WRITES, assert_refused};

#[test]
fn what_has_no_room_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::empty();
    let disk = match Disk::new(&sandbox, "2m") {
        Ok(disk) => disk,
        Err(reason) => return skipped("what_has_no_room_is_refused_and_changes_nothing", &reason),
    };
    disk.define("Fine", &json!({"command": "true", "worktree": true}));
    // A first run, so that nothing has to be made that could be refused for another reason.
    disk.lattice(&["worker", "run", "Fine", "LAT-1", "--wait"]).run().ok();
    disk.lattice(&["worker", "reap"]).run().ok();
    // The disk is freed behind the end, and would give room again.
    eventually("nothing of the run is left", SOON, || {
        let left = disk.shell("ls -A .lattice/runs .lattice/worktrees").run().ok().stdout;
        if left.contains(".old-") || left.contains(".trash-") { Err(left) } else { Ok(()) }
    });
    let log = disk.shell("echo $PWD/.lattice/events/task_*").run().ok().stdout;
    pad(&disk, &disk.seen(Path::new(log.trim())));
    disk.shell("cat /dev/zero > ../filler 2>/dev/null; true").run().ok();
    let tree = || {
        Tree::of(
            &disk.seen(&disk.project),
            &[".lattice/locks", ".lattice/runs/.store", "project/.git"],
        )
    };
    let before = tree();
    for write in WRITES {
        assert_refused(disk.lattice(write).arg("--json").run());
        let differences = before.differences(&tree());
        assert!(differences.is_empty(), "{write:?} changed {differences:#?}");
    }
    disk.lattice(&["list"]).run().ok();
    disk.shell("rm ../filler").run().ok();
    for write in WRITES {
        disk.lattice(write).arg("--json").run().ok();
    }
    disk.lattice(&["worker", "wait", "LAT-1"]).run().ok();
    assert_eq!(disk.shell("git worktree list").run().ok().stdout.lines().count(), 1);
}

/// Lengthens the log of the task to the end of a block, so that the next line needs a new one.
fn pad(disk: &Disk<'_>, log: &Path) {
    let size = || usize::try_from(fs::metadata(log).unwrap().len()).unwrap();
    let comment = |text: &str| {
        drop(disk.lattice(&["comment", "LAT-1", text, "--actor", "human:ana"]).run().ok())
    };
    let before = size();
    comment("x");
    let overhead = size() - before - 1;
    let rest = 4096 - size() % 4096;
    comment(&"x".repeat(if rest > overhead { rest - overhead } else { rest + 4096 - overhead }));
    assert_eq!(size() % 4096, 0);
}

/// The step that fills the disk from outside of its namespace.
fn outside(disk: &Disk<'_>, name: &str) -> String {
    format!("fill=100000000:{}", disk.seen(&disk.root.join(name)).display())
}

#[test]
fn s13_an_end_without_room_keeps_the_worktree_and_is_told_later() {
    let sandbox = Sandbox::empty();
    let disk = match Disk::new(&sandbox, "4m") {
        Ok(disk) => disk,
        Err(reason) => {
            return skipped(
                "s13_an_end_without_room_keeps_the_worktree_and_is_told_later",
                &reason,
            );
        }
    };
    let filler = |name: &str| format!("fill=100000000:{}/{name}", disk.root.display());
    let steps = ["write=precious:work\n", "connect=main", "wait", &filler("filler"), "wait"];
    disk.define("Fill", &json!({"command": sandbox.fake(&steps), "worktree": true}));
    let answer = disk.lattice(&["worker", "run", "Fill", "LAT-1", "--json"]).run().ok().data();
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    let lattice = |path: &str| disk.project.join(".lattice").join(path);
    let events = disk.seen(&lattice(&format!("events/{}.jsonl", text("task_id"))));
    let directory = disk.seen(&lattice("runs").join(text("started_event_id")));
    let main = sandbox.socket.peer("main");
    pad(&disk, &events);
    // What the end sequence frees is filled again before it can write: it has to wait for the log until then.
    let lock = lattice(&format!("locks/events_{}.lock", text("task_id")));
    let held = format!("lock={}", disk.seen(&lock).display());
    let glutton = [
        &held,
        "connect=glutton",
        "wait",
        &outside(&disk, "more"),
        "unlock",
        "connect=full",
        "wait",
    ];
    let glutton = sandbox.start_fake(&glutton);
    let hungry = sandbox.socket.peer("glutton");
    main.tell("go");
    main.tell("exit 0");
    main.wait_dead(SOON);
    // The record was preallocated, so it is there although the disk is full.
    eventually("the terminal record", SOON, || match fs::read(directory.join("terminal.json")) {
        Ok(bytes) if bytes.ends_with(b"\n") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    hungry.tell("go");
    let full = sandbox.socket.peer("full");
    let ended = |log: &str| log.contains("\"process_completed\"");
    // The glutton has deleted the lock file, so it is there again when the append is tried; and whoever gets the
    // lock after that sees what the try has left.
    let lock = disk.seen(&lock);
    eventually("the append is tried", SOON, || {
        if lock.exists() { Ok(()) } else { Err("no lock file".to_owned()) }
    });
    sandbox.program(["flock", lock.to_str().unwrap(), "true"]).run().ok();
    let log = fs::read_to_string(&events).unwrap();
    assert!(log.ends_with('\n') && !ended(&log), "no torn line: {log}");
    for name in ["filler", "more"] {
        fs::remove_file(disk.seen(&disk.root.join(name))).unwrap();
    }
    full.tell("exit 0");
    glutton.finish().ok();
    let end: Value = eventually("the terminal event, once there is room", SOON, || {
        let log = fs::read_to_string(&events).map_err(|error| error.to_string())?;
        let line = log.lines().find(|line| line.contains("\"process_completed\""));
        line.map(|line| serde_json::from_str(line).unwrap()).ok_or(log)
    });
    let kept =
        end["data"]["kept_worktree"].as_str().unwrap_or_else(|| panic!("kept_worktree in {end}"));
    assert_eq!(fs::read_to_string(disk.seen(&Path::new(kept).join("precious"))).unwrap(), "work\n");
    eventually("the run directory is gone", SOON, || {
        if directory.exists() { Err(format!("{directory:?}")) } else { Ok(()) }
    });
    let ends = fs::read_to_string(&events).unwrap().matches("\"started_event_id\"").count();
    assert_eq!(ends, 1);
}
