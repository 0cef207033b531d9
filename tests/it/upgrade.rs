//! A run and an upgrade: old supervisors under a new command line, and formats that are newer than this build.

use std::path::PathBuf;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::SOON;

/// This version, and one that stands for an older one: both programs with other digits in their version.
const OURS: &str = env!("CARGO_PKG_VERSION");
const OLDER: &str = "0.0.9";

/// A directory with both programs of the older version.
fn older(sandbox: &Sandbox) -> PathBuf {
    let directory = sandbox.base.join("bin");
    fs::create_dir(&directory).unwrap();
    for name in ["lattice", "lattice-shim"] {
        let bytes = fs::read(binaries::directory().join(name)).unwrap();
        let patched = replaced(&bytes, OURS.as_bytes(), OLDER.as_bytes());
        fs::write(directory.join(format!("{name}.part")), patched).unwrap();
    }
    // By a program of its own: a file that this process has had open for writing may be "busy".
    sandbox.sh(&format!(
        "cd {} && for n in lattice lattice-shim; do cp $n.part $n && chmod 755 $n; done; rm *.part",
        directory.display()
    ));
    directory
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a program is patched in its place");
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = out[at..].windows(from.len()).position(|window| window == from) {
        out[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    out
}

/// An upgrade as `scripts/install` does it: renamed over the old programs, whose files are gone with that.
fn upgrade(sandbox: &Sandbox) {
    sandbox.sh(&format!(
        "for n in lattice-shim lattice; do cp {0}/$n {1}/.$n && mv -f {1}/.$n {1}/$n; done",
        binaries::directory().display(),
        sandbox.base.join("bin").display()
    ));
}

fn lattice(sandbox: &Sandbox, words: &[&str]) -> Call {
    let program = sandbox.base.join("bin/lattice").display().to_string();
    sandbox.program([program.as_str()].iter().chain(words).copied())
}

fn start_old<'a>(sandbox: &'a Sandbox, steps: &[&str]) -> (Run<'a>, Peer) {
    older(sandbox);
    sandbox.worker("Check", json!({"command": sandbox.fake(steps), "worktree": true}));
    let told = lattice(sandbox, &["worker", "run", "Check", "LAT-1", "--json"]).run().ok().data();
    let run = sandbox.run_of(&told);
    let main = sandbox.socket.peer("main");
    let spec: Value =
        serde_json::from_slice(&fs::read(run.directory().join("spec.json")).unwrap()).unwrap();
    assert_eq!(spec["lattice_version"], OLDER, "it really is the older one");
    upgrade(sandbox);
    (run, main)
}

const STEPS: [&str; 4] = ["print=hello", "write=made.txt:precious", "connect=main", "wait"];

fn assert_ended(sandbox: &Sandbox, run: &Run<'_>, by: &str) {
    let end = run.ended();
    assert_eq!(end["data"]["ended_by"], by, "{end}");
    let saved = end["data"]["preserved_ref"].as_str().expect("its work is saved").to_owned();
    assert_eq!(sandbox.git(["show", &format!("{saved}:made.txt")]), "precious");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

#[test]
fn an_old_run_ends_by_itself_under_a_new_command_line() {
    let sandbox = Sandbox::new();
    let (run, main) = start_old(&sandbox, &STEPS);
    let rows = lattice(&sandbox, &["worker", "ps", "--json"]).run().ok().silent().data();
    assert_eq!((&rows[0]["run"], &rows[0]["state"]), (&json!(run.id), &json!("running")));
    lattice(&sandbox, &["worker", "logs", "LAT-1"]).run().ok().silent().stdout("hello\n");
    let refused = lattice(&sandbox, &["worker", "run", "Check", "LAT-1", "--json"]).run();
    refused.refused(3, "ALREADY_RUNNING");
    let waiting = lattice(&sandbox, &["worker", "wait", "LAT-1"]).start();
    main.tell("exit 0");
    waiting.finish().ok();
    assert_ended(&sandbox, &run, "shim");
}

#[test]
fn an_old_run_can_be_stopped_by_a_new_command_line() {
    let sandbox = Sandbox::new();
    let (run, main) = start_old(&sandbox, &STEPS);
    let end = lattice(&sandbox, &["worker", "stop", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(end["data"]["reason"], "stopped");
    assert!(main.is_dead());
    assert_ended(&sandbox, &run, "shim");
}

/// M3: the programs that they would start again by path are replaced or gone.
#[test]
fn m3_an_old_warden_finishes_although_its_program_is_gone() {
    let sandbox = Sandbox::new();
    let (run, main) = start_old(&sandbox, &STEPS);
    let (shim, _) = run.supervisors(&main);
    sandbox.sh(&format!("rm {0}/lattice {0}/lattice-shim", sandbox.base.join("bin").display()));
    shim.kill();
    assert_ended(&sandbox, &run, "warden");
}

#[test]
fn a_new_command_line_reaps_a_dead_old_run() {
    let sandbox = Sandbox::new();
    let (run, main) = start_old(&sandbox, &STEPS);
    lose(&run, &main);
    let reaped = lattice(&sandbox, &["worker", "reap", "--json"]).run().ok().data();
    assert_eq!((&reaped[0]["run"], &reaped[0]["action"]), (&json!(run.id), &json!("finished")));
    assert_ended(&sandbox, &run, "reaper");
}

fn lose(run: &Run<'_>, main: &Peer) {
    let (shim, warden) = run.supervisors(main);
    warden.signal(Signal::STOP);
    shim.kill();
    warden.kill();
    for process in [&shim, &warden, &**main] {
        process.wait_dead(SOON);
    }
}

#[test]
fn two_versions_do_not_start_a_run_together() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": "true", "worktree": true}));
    let old = older(&sandbox);
    let before = sandbox.tree();
    for newer in ["lattice", "lattice-shim"] {
        sandbox.sh(&format!(
            "cp {1}/{newer} {0}/.new && mv {0}/.new {0}/{newer}",
            old.display(),
            binaries::directory().display()
        ));
        if newer == "lattice" {
            let call = lattice(&sandbox, &["worker", "run", "Check", "LAT-1", "--json"]).run();
            let error = call.silent().refused(1, "VERSION_MISMATCH").to_string();
            assert!(error.contains(OURS) && error.contains(OLDER), "{error}");
            sandbox.assert_unchanged(&before);
            sandbox.assert_clean();
        }
    }
    lattice(&sandbox, &["worker", "run", "Check", "LAT-1", "--wait"]).run().ok();
}

fn edit(path: &std::path::Path, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// M9: what a newer build has begun is left to it, and named.
#[test]
fn m9_a_newer_spec_is_left_alone_and_named() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": sandbox.fake(&STEPS), "worktree": true}));
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    let spec = run.directory().join("spec.json");
    edit(&spec, |spec| spec["version"] = json!(99));
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().silent().data();
    assert_eq!((&rows[0]["run"], &rows[0]["state"]), (&json!(run.id), &json!("running")));
    lose(&run, &main);
    let listed = sandbox.lattice(["list"]).run().ok();
    assert!(listed.stderr.contains(&run.id), "it is named: {listed}");
    for words in
        [&["worker", "reap", "--json"][..], &["worker", "reap", "--force", &run.id, "--json"]]
    {
        let reaped = sandbox.lattice(words.iter().copied()).run().ok().data();
        assert_eq!((&reaped[0]["run"], &reaped[0]["action"]), (&json!(run.id), &json!("left")));
        assert!(reaped[0]["reason"].as_str().unwrap().contains("version 99"), "{reaped}");
    }
    sandbox.lattice(["worker", "prune", "--keep-days", "0"]).run().ok();
    let refused = sandbox.lattice(["worker", "run", "Check", "LAT-1", "--json"]).run();
    refused.refused(3, "ALREADY_RUNNING");
    assert!(run.terminal().is_none());
    let left = sandbox.traces();
    for kind in ["run ", "worktree ", "entry "] {
        assert!(left.iter().any(|trace| trace.starts_with(kind)), "{kind} is left: {left:#?}");
    }
    edit(&spec, |spec| spec["version"] = json!(1));
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_ended(&sandbox, &run, "reaper");
}

#[test]
fn a_newer_record_is_left_alone_and_named() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": "true"}));
    let run = sandbox.start("Check");
    let end = run.ended();
    run.record();
    sandbox.assert_clean();
    let record = sandbox.lattice_dir().join(format!("logs/workers/{}.json", run.id));
    edit(&record, |record| record["spec"]["version"] = json!(99));
    let all = sandbox.lattice(["worker", "ps", "--all"]).run().ok();
    assert!(all.stderr.contains(&run.id) && all.stderr.contains("version 99"), "{all}");
    let shown = sandbox.lattice(["worker", "show", &run.id, "--json"]).run();
    shown.refused(1, "VERSION_MISMATCH");
    sandbox.lattice(["worker", "prune", "--keep-days", "0"]).run().ok();
    assert!(record.exists(), "it is not pruned by a build that does not know what it is");

    // Git takes the end back: nobody but its own version may bring it again, and nobody invents another one.
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.contains("process_completed")).collect();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    let reaped = sandbox.lattice(["worker", "reap", "--json"]).run().ok().data();
    assert_eq!((&reaped[0]["run"], &reaped[0]["action"]), (&json!(run.id), &json!("left")));
    let forced = sandbox.lattice(["worker", "reap", "--force", &run.id, "--json"]).run();
    forced.refused(1, "VERSION_MISMATCH");
    assert!(run.terminal().is_none());
    edit(&record, |record| record["spec"]["version"] = json!(1));
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.terminal(), Some(end));
}
