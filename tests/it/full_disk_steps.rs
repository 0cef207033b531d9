//! A disk that has no block and no inode left from one step of a run's start or end on: a refusal that changes
//! nothing, or an end whose record was reserved, that deletes nothing it could not save, and is told when there is room.

use std::path::Path;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::campaign;
use crate::harness::disk::{SmallDisk, on_small_disk};
use crate::harness::held::{self, Held, Hold};
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace::{self, Moment, Who};
use crate::harness::waiting::{SOON, eventually, skipped};

const DISK: &str = "size=8m,nr_inodes=1500";

const RENAME: &str = "rename,renameat,renameat2";
const PUBLISH: &str = "link,linkat,rename,renameat,renameat2";

/// Where the disk fills, and what comes of it.
struct Step {
    name: &'static str,
    hold: Hold,
    reason: &'static str,
    /// The worker has begun and left its work.
    worked: bool,
    /// The record is not written yet.
    reserved: bool,
    /// The worktree stays, or there is none: nothing gives space back, and the line has to wait for it.
    waits: bool,
}

const fn before(name: &'static str, hold: Hold, reason: &'static str, waits: bool) -> Step {
    Step { name, hold, reason, worked: false, reserved: true, waits }
}

const fn after(name: &'static str, hold: Hold, reserved: bool, waits: bool) -> Step {
    Step { name, hold, reason: "exited", worked: true, reserved, waits }
}

const fn from(peer: &'static str, calls: &'static str, file: &'static str) -> Hold {
    Hold::Call { from: peer, calls, file: Some(file) }
}

const OF_THE_START: &[Step] = &[
    before("the shim's seat", from("answer", "openat", "runs/RUN/spec.json"), "internal", true),
    before("the log", from("answer", RENAME, "runs/RUN/supervisor.json"), "internal", true),
    before("the hook of the start", Hold::Peer("hook-started"), "worktree_failed", false),
    before("the checkout", Hold::Peer("checkout"), "worktree_failed", false),
    before("the worker's identity", Hold::Peer("setup"), "spawn_failed", false),
    before("the worker", from("setup", RENAME, "runs/RUN/engine.json"), "exited", false),
];

const OF_THE_END: &[Step] = &[
    after("E1, the box of words", Hold::Peer("main"), true, true),
    after("E1, the commit", from("main", PUBLISH, "runs/RUN/reported"), true, true),
    after("E1, the objects", Hold::Peer("salvage"), true, true),
    after("E1, the report", from("main", "openat", "runs/RUN/work/report"), true, false),
    after("E3, the line", from("main", PUBLISH, "runs/RUN/terminal.json"), false, false),
    after("E3, the snapshot", from("main", "write", "events/TASK.jsonl"), false, false),
    after("E4, the worktree", from("main", RENAME, "tasks/TASK.json"), false, false),
    after("E4, its entry", from("main", RENAME, "worktrees/WORKTREE"), false, false),
    after("E5, the hooks", Hold::Peer("hook-failed"), false, false),
    after("E6, the directory", from("main", RENAME, "logs/workers/RUN.json"), false, false),
];

/// Lengthens the log of the task to the end of a block, so that the next line needs a new one.
fn pad(sandbox: &Sandbox) {
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let size = || usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
    let comment =
        |text: &str| drop(sandbox.lattice(["comment", "LAT-1", text, "--actor", ACTOR]).run().ok());
    let before = size();
    comment("x");
    let overhead = size() - before - 1;
    let rest = 4096 - size() % 4096;
    comment(&"x".repeat(if rest > overhead { rest - overhead } else { rest + 4096 - overhead }));
    assert_eq!(size() % 4096, 0);
}

#[track_caller]
fn assert_readable(sandbox: &Sandbox) {
    for words in [&["list"][..], &["show", "LAT-1"], &["worker", "ps"]] {
        let finished = sandbox.lattice(words).run().ok();
        assert!(!finished.stdout.is_empty(), "{finished}");
    }
}

/// `lost`: both supervisors die while they wait for room, and the next call has to do what they cannot any more.
fn try_step(disk: &SmallDisk, step: &Step, lost: bool) {
    println!("{}{}", step.name, if lost { ", lost" } else { "" });
    let sandbox = held::sandbox();
    let mut held = Held::reach(&sandbox, &step.hold, "Work");
    let run = sandbox.run_of(&json!({"started_event_id": held.run, "task_id": sandbox.task}));
    let in_locks = ["E3, the snapshot", "E4, the worktree"].contains(&step.name);
    if !in_locks {
        pad(&sandbox);
    }
    let published = step.reserved.then(|| {
        let shim = held.shim.as_ref().expect("there is a shim");
        held.stop(shim, Who::Itself, PUBLISH, Some("runs/RUN/terminal.json"))
    });
    disk.fill();
    match &held.stopped {
        Some(stopped) => stopped.signal(Signal::CONT),
        None => held.go_on(),
    }
    if let Some(published) = published {
        let shim = published.reached();
        // What the record did not need of its reserve.
        disk.fill();
        shim.signal(Signal::CONT);
    }
    let record = held.directory().join("terminal.json");
    eventually("the record", SOON, || match fs::read(&record) {
        Ok(bytes) if bytes.ends_with(b"\n") => Ok(()),
        Err(_) if !held.directory().exists() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_readable(&sandbox);
    if step.waits {
        assert!(run.terminal().is_none() && held.directory().exists(), "there is no room yet");
    }
    if lost {
        let supervisors = || [&held.warden].into_iter().chain(&held.shim);
        supervisors().for_each(|process| process.signal(Signal::STOP));
        supervisors().for_each(|process| process.kill());
        supervisors().for_each(|process| process.wait_dead(SOON));
        assert_readable(&sandbox);
    }
    disk.free();
    if lost {
        sandbox.lattice(["worker", "ps"]).run().ok();
    }
    let end = run.ended();
    let kept = end["data"]["kept_worktree"].as_str();
    sandbox.assert_left(if kept.is_some() { &["worktree ", "entry ", "listed "] } else { &[] });
    assert_eq!(sandbox.assert_runs_ended(), 1);
    assert_eq!(end["data"]["reason"], step.reason, "{end}");
    if step.worked {
        assert_eq!(end["data"]["exit_code"], 3, "{end}");
        assert_saved(&sandbox, &held.run, &end);
    }
    let told = fs::read_to_string(sandbox.base.join("told")).unwrap_or_default();
    assert!(told.contains("hook-failed"), "the end fires its hook");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert!(shown.get("active_processes").is_none(), "{shown}");
    let found = sandbox.lattice(["doctor", "--json"]).run();
    assert!(kept.is_some() || found.code == Some(0), "{found}");
}

/// What the worker changed and said.
#[track_caller]
fn assert_saved(sandbox: &Sandbox, run: &str, end: &Value) {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{e}: {end}"));
    match (end["data"]["preserved_ref"].as_str(), end["data"]["kept_worktree"].as_str()) {
        (_, Some(kept)) => assert_eq!(read(&Path::new(kept).join("precious")), "work\n"),
        (Some(saved), None) => {
            assert_eq!(sandbox.git(["show", &format!("{saved}:precious")]), "work");
        }
        (None, None) => panic!("nothing is saved: {end}"),
    }
    let report = match end["data"]["artifact_id"].as_str() {
        Some(id) => {
            let names_it = |event: &Value| {
                event["type"] == "artifact_attached" && event["data"]["artifact_id"] == *id
            };
            assert_eq!(sandbox.events().into_iter().filter(names_it).count(), 1);
            sandbox.lattice_dir().join(format!("artifacts/payload/{id}.md"))
        }
        None => sandbox.lattice_dir().join(format!("logs/workers/{run}.report")),
    };
    assert_eq!(read(&report), "said\n");
}

fn try_steps(test: &str, steps: &[Step]) {
    on_small_disk(test, DISK, |disk| {
        if !strace::available(&Sandbox::empty()) {
            return skipped(test, "no strace");
        }
        for (number, step) in steps.iter().enumerate() {
            if campaign::is_full() || number % 2 == 0 {
                try_step(disk, step, false);
            }
            if campaign::is_full() || number % 2 == 1 {
                try_step(disk, step, true);
            }
        }
    });
}

#[test]
fn a_disk_that_fills_while_the_worker_is_started() {
    try_steps("full_disk_steps::a_disk_that_fills_while_the_worker_is_started", OF_THE_START);
}

#[test]
fn a_disk_that_fills_at_a_step_of_the_end() {
    try_steps("full_disk_steps::a_disk_that_fills_at_a_step_of_the_end", OF_THE_END);
}

/// Every file that the CLI makes or writes for a start: refused and gone, or a run like any other.
#[test]
fn a_disk_that_fills_at_a_step_of_the_start() {
    let test = "full_disk_steps::a_disk_that_fills_at_a_step_of_the_start";
    on_small_disk(test, DISK, |disk| {
        let sandbox = Sandbox::new();
        if !strace::available(&sandbox) {
            return skipped(test, "no strace");
        }
        sandbox.worker("Quick", json!({"command": "exit 3", "worktree": true}));
        sandbox.run_to_end("Quick");
        sandbox.assert_clean();
        let start = || sandbox.lattice(["worker", "run", "Quick", "LAT-1", "--json"]);
        let (finished, moments) = strace::moments_on(&sandbox, start(), "/.lattice/");
        finished.ok();
        sandbox.assert_clean();
        let (mut began, mut refused) = (0, 0);
        for moment in campaign::sampled(moments, 16) {
            let has_begun = fill_at(disk, &sandbox, start(), &moment);
            began += usize::from(has_begun);
            refused += usize::from(!has_begun);
        }
        assert!(began > 0 && refused > 5, "{began} began, {refused} were refused");
    });
}

fn fill_at(
    disk: &SmallDisk,
    sandbox: &Sandbox,
    start: crate::harness::call::Call,
    moment: &Moment,
) -> bool {
    println!("{moment:?}");
    pad(sandbox);
    let before = sandbox.runs_of(&sandbox.task).len();
    let (running, process) = strace::stopped_at(sandbox, start, moment);
    disk.fill();
    process.signal(Signal::CONT);
    let finished = running.finish();
    assert_readable(sandbox);
    let begun = sandbox.runs_of(&sandbox.task).len() - before;
    assert_eq!(begun, usize::from(finished.code == Some(0)), "what is told is true: {finished}");
    if begun == 0 {
        let error = finished.refused(1, "IO_ERROR");
        assert!(error["message"].as_str().unwrap().contains(".lattice"), "{error}");
    }
    disk.free();
    eventually("everything has settled", SOON, || {
        let runs = sandbox.runs_of(&sandbox.task);
        let is_open = |(_, ends): &&(Vec<Value>, Vec<Value>)| ends.len() != 1;
        let open: Vec<_> = runs.values().filter(is_open).collect();
        let kept = runs
            .values()
            .flat_map(|(_, ends)| ends)
            .filter(|end| !end["data"]["kept_worktree"].is_null());
        let left = sandbox.traces();
        // Of a kept one: itself, its entry, and git's list.
        if open.is_empty() && left.len() == 3 * kept.count() {
            Ok(())
        } else {
            Err(format!("{open:?} {left:?}"))
        }
    });
    begun == 1
}
