//! Attacks on the search for a run's processes, each test named by its row: what must be found, and what only looks
//! as if it belonged to the run.

use std::os::unix::fs::MetadataExt;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::namespace::Namespace;
use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, skipped};

#[track_caller]
pub fn reap(sandbox: &Sandbox) {
    sandbox.lattice(["worker", "reap"]).run().ok();
}

#[track_caller]
pub fn assert_lost(run: &Run<'_>) -> Value {
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "supervisor_lost", "{end}");
    end
}

/// Whoever ends it would be ended by it.
#[test]
fn s8_nobody_ends_the_run_that_he_is_part_of() {
    let sandbox = Sandbox::new();
    let [daemon, said, main] = ["daemon", "said", "main"]
        .map(|name| sandbox.fake_line(&[&format!("connect={name}"), "wait"]));
    let answer = sandbox.base.join("answer");
    let script = format!(
        "setsid bash -c \"{daemon}; lattice worker reap --json > {}; {said}\" > /dev/null 2>&1 & exec {main}",
        answer.display()
    );
    sandbox.worker("Work", json!({ "command": script }));
    let run = sandbox.start("Work");
    let daemon = sandbox.socket.peer("daemon");
    run.lose_supervisors(&sandbox.socket.peer("main"));
    daemon.tell("go");
    let said = sandbox.socket.peer("said");
    let answer: Value = serde_json::from_slice(&fs::read(answer).unwrap()).unwrap();
    assert_eq!(answer["data"], json!([]), "{answer}");
    assert!(run.terminal().is_none() && run.directory().exists());
    reap(&sandbox);
    assert_lost(&run);
    assert!(said.is_dead());
    sandbox.assert_clean();
}

/// In place, everything that the user does in the project has the run's directory.
#[test]
fn s8_who_works_in_the_project_is_no_part_of_a_run_in_place() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let bystander = sandbox.start_fake(&["setsid", "connect=bystander", "wait"]);
    let peer = sandbox.socket.peer("bystander");
    run.lose_supervisors(&main);
    reap(&sandbox);
    assert_lost(&run);
    assert!(!peer.is_dead());
    peer.tell("exit 0");
    bystander.finish().ok();
    sandbox.assert_clean();
}

/// A person's shell in the run's worktree has a terminal; what the run has left there has none.
#[test]
fn s8_a_shell_in_the_worktree_is_not_ended() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let chdir = format!("chdir={}", run.started["worktree_path"].as_str().unwrap());
    let line = sandbox.fake_line(&[&chdir, "connect=shell", "wait"]);
    let terminal = sandbox.program(["script", "-qec", &line, "/dev/null"]).start();
    let shell = sandbox.socket.peer("shell");
    let squatting = sandbox.start_fake(&["setsid", &chdir, "connect=squatter", "wait"]);
    let squatter = sandbox.socket.peer("squatter");
    run.lose_supervisors(&main);
    reap(&sandbox);
    assert_lost(&run);
    assert!(squatter.is_dead() && !shell.is_dead());
    squatting.finish();
    shell.tell("exit 0");
    terminal.finish().ok();
    sandbox.assert_clean();
}

#[test]
fn s12_a_daemon_of_a_setup_command_is_found_by_a_reaper() {
    let sandbox = Sandbox::new();
    let [daemon, setup] =
        ["daemon", "setup"].map(|name| sandbox.fake_line(&[&format!("connect={name}"), "wait"]));
    // Neither its place nor its output gives it away.
    let setup = format!("(cd / && setsid {daemon} > /dev/null 2>&1 &); {setup}");
    sandbox.worker("Work", json!({"command": "true", "setup": [setup], "worktree": true}));
    let run = sandbox.start("Work");
    let (setup, daemon) = (sandbox.socket.peer("setup"), sandbox.socket.peer("daemon"));
    let warden = i32::try_from(run.started["pid"].as_i64().unwrap()).unwrap();
    let warden = Process::open(warden).unwrap();
    let shim = setup.ancestor(" shim ");
    for process in [&warden, &shim] {
        process.signal(Signal::STOP);
    }
    for process in [&warden, &shim] {
        process.kill();
        process.wait_dead(SOON);
    }
    assert!(!daemon.is_dead(), "only the call can find it");
    reap(&sandbox);
    assert_lost(&run);
    assert!(setup.is_dead() && daemon.is_dead());
    sandbox.assert_clean();
}

/// A run in another container whose supervisors and engine are dead, and the daemon that it has left there.
#[track_caller]
fn lost_in<'a>(sandbox: &'a Sandbox, there: &Namespace) -> (Run<'a>, Peer) {
    let steps = ["spawn-setsid=daemon", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    let run = sandbox.run_of(&there.inside(call, &sandbox.project).run().ok().data());
    let (main, daemon) = (sandbox.socket.peer("main"), sandbox.socket.peer("daemon"));
    // Their numbers are others in there.
    let shim = main.parent();
    let warden = shim.parent();
    for process in [&warden, &shim] {
        process.signal(Signal::STOP);
    }
    for process in [&warden, &shim, &*main] {
        process.kill();
        process.wait_dead(SOON);
    }
    (run, daemon)
}

/// In the pid namespace of another container its processes have no numbers, and cannot be looked for.
#[test]
fn s19_a_reaper_that_cannot_look_waits_and_deletes_nothing() {
    let name = "s19_a_reaper_that_cannot_look_waits_and_deletes_nothing";
    let sandbox = Sandbox::new();
    let spaces = [(); 2].map(|()| Namespace::of_processes(&sandbox));
    let [here, there] = match spaces {
        [Ok(here), Ok(there)] => [here, there],
        [Err(reason), _] | [_, Err(reason)] => return skipped(name, &reason),
    };
    let (run, daemon) = lost_in(&sandbox, &there);
    let reap = || {
        let call = sandbox.lattice(["worker", "reap", "--json"]);
        here.inside(call, &sandbox.project).run().ok().data()
    };
    let left = reap();
    assert_eq!((&left[0]["run"], &left[0]["action"]), (&json!(run.id), &json!("left")));
    assert!(left[0]["reason"].to_string().contains("pid namespace"), "{left}");
    assert!(run.terminal().is_none() && run.directory().exists());
    // Once its time is over nobody waits any longer, but what cannot be seen may be alive.
    let change = |name: &str, key: &str, to: Value| {
        let file = run.directory().join(name);
        let mut value: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        value[key] = to;
        fs::write(&file, value.to_string()).unwrap();
    };
    change("spec.json", "grace_ms", json!(0));
    assert_eq!(reap()[0]["action"], "left");
    change("engine.json", "deadline_at", json!("2026-01-01T00:00:00Z"));
    assert_eq!(reap()[0]["action"], "finished");
    let end = assert_lost(&run);
    assert_eq!(end["data"]["survivors"], "unknown", "{end}");
    assert!(end["data"]["kept_worktree"].is_string() && !daemon.is_dead(), "{end}");
    daemon.kill();
    drop([here, there]);
    sandbox.assert_left(&["worktree ", "entry ", "listed "]);
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// From outside of all containers everything can be seen.
#[test]
fn s19_a_reaper_outside_of_the_container_looks() {
    let name = "s19_a_reaper_outside_of_the_container_looks";
    // The inode that the kernel gives to the first one (linux/proc_ns.h).
    if fs::metadata("/proc/self/ns/pid").unwrap().ino() != 0xEFFF_FFFC {
        return skipped(name, "the tests run in a pid namespace of their own");
    }
    let sandbox = Sandbox::new();
    let there = match Namespace::of_processes(&sandbox) {
        Ok(there) => there,
        Err(reason) => return skipped(name, &reason),
    };
    let (run, daemon) = lost_in(&sandbox, &there);
    reap(&sandbox);
    let end = assert_lost(&run);
    assert!(daemon.is_dead() && end["data"].get("survivors").is_none(), "{end}");
    drop(there);
    sandbox.assert_clean();
}

/// No mark leads to it, but the warden has adopted it.
#[test]
fn s21_a_daemon_without_any_mark_is_found_by_the_warden() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["spawn-unseen=daemon", "connect=main", "wait"]);
    let run = sandbox.start("Work");
    let (main, daemon) = (sandbox.socket.peer("main"), sandbox.socket.peer("daemon"));
    run.supervisors(&main).0.kill();
    assert_eq!(run.ended()["data"]["ended_by"], "warden");
    assert!(daemon.is_dead(), "dead before the end is told");
    sandbox.assert_clean();
}
