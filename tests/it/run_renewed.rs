//! A supervisor that has a long wait before it becomes itself anew: the same process with far fewer pages, and every
//! promise stands.

use std::time::Instant;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::held::{self, Held, Hold};
use crate::harness::process::{Process, describe, stat_field};
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};

/// A run whose supervisors are both in their second image.
struct Waiting<'a> {
    run: Run<'a>,
    main: Peer,
    shim: Process,
    warden: Process,
}

fn define(sandbox: &Sandbox, mut definition: Value, steps: &[&str]) {
    definition["command"] = sandbox.fake(steps);
    sandbox.worker("Work", definition);
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    define(&sandbox, json!({"worktree": true}), &["spawn-setsid=daemon", "connect=main", "wait"]);
    sandbox
}

impl<'a> Waiting<'a> {
    #[track_caller]
    fn begin(sandbox: &'a Sandbox) -> Self {
        let run = sandbox.start("Work");
        let main = sandbox.socket.peer("main");
        let (shim, warden) = run.supervisors(&main);
        for process in [&shim, &warden] {
            wait_renewed(process);
        }
        Self { run, main, shim, warden }
    }

    fn kilobytes(&self) -> u64 {
        [&self.shim, &self.warden].into_iter().map(written_kb).sum()
    }
}

#[track_caller]
fn wait_renewed(process: &Process) {
    eventually("it has become itself anew", SOON, || {
        let line = describe(process.pid);
        if line.contains(" waits ") { Ok(()) } else { Err(line) }
    });
    process.wait_polling();
}

/// Heap, stack and whatever else belongs to no file: what the wait itself has written. The pages of the program's own
/// file are another matter in each kind of build; `scripts/bench` counts them.
#[track_caller]
fn written_kb(process: &Process) -> u64 {
    let maps = fs::read_to_string(format!("/proc/{}/smaps", process.pid)).expect("it is alive");
    let (mut written, mut of_file) = (0, false);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Private_Dirty:") if !of_file => {
                written += words.next().and_then(|kb| kb.parse::<u64>().ok()).expect("kB");
            }
            Some(range) if !range.ends_with(':') => of_file = line.contains('/'),
            _ => {}
        }
    }
    written
}

/// A megabyte that is printed so many times.
fn flood(sandbox: &Sandbox, times: u32) -> String {
    let path = sandbox.base.join("megabyte");
    fs::write(&path, "0123456\n".repeat(1 << 17)).unwrap();
    format!("flood={times}:{}", path.display())
}

#[test]
fn what_a_wait_costs_does_not_grow_with_the_log() {
    let sandbox = Sandbox::new();
    let (ten, more) = (flood(&sandbox, 10), flood(&sandbox, 190));
    let steps =
        ["connect=main", "wait", &ten, "connect=ten", "wait", &more, "connect=more", "wait"];
    define(&sandbox, json!({}), &steps);
    let waiting = Waiting::begin(&sandbox);
    let before = waiting.kilobytes();
    let mut after = Vec::new();
    let mut printing = waiting.main;
    for name in ["ten", "more"] {
        printing.tell("go");
        // Its last word has passed through the pipe, but for what the pipe holds.
        printing = sandbox.socket.peer(name);
        waiting.shim.wait_polling();
        after.push([&waiting.shim, &waiting.warden].into_iter().map(written_kb).sum::<u64>());
    }
    assert!(before <= 200, "{before} kB in two supervisors that wait");
    assert!(after[0] <= before + 16 && after[1] <= after[0] + 8, "{before} kB, then {after:?} kB");
    for process in [&waiting.shim, &waiting.warden] {
        assert_eq!(process.status("Threads").as_deref(), Some("1"));
    }
    printing.tell("exit 0");
    let end = waiting.run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["log_bytes"]),
        (&json!("process_completed"), &json!(200 << 20))
    );
    sandbox.assert_clean();
}

#[test]
fn the_process_is_the_same() {
    let sandbox = sandbox();
    let begun = Instant::now();
    let waiting = Waiting::begin(&sandbox);
    let recorded = fs::read(waiting.run.directory().join("supervisor.json")).unwrap();
    let recorded: Value = serde_json::from_slice(&recorded).unwrap();
    for (role, process) in [("shim", &waiting.shim), ("warden", &waiting.warden)] {
        let ticks = stat_field(process.pid, 22).and_then(|ticks| ticks.parse::<u64>().ok());
        assert_eq!(recorded[role]["start_ticks"].as_u64(), ticks, "{role}");
        let comm = fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap();
        assert_eq!(comm, "lattice-shim\n");
    }
    let open = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
    assert_eq!((&open[0]["run"], &open[0]["state"]), (&json!(waiting.run.id), &json!("running")));
    let waited = begun.elapsed();
    waiting.main.tell("exit 3");
    let end = waiting.run.ended();
    let data = &end["data"];
    assert_eq!(
        (&data["exit_code"], &data["ended_by"], &data["swept"]),
        (&json!(3), &json!("shim"), &json!(1))
    );
    // The clock of the first image counts.
    let duration = data["duration_seconds"].as_f64().unwrap();
    assert!(duration >= 0.25 && duration <= waited.as_secs_f64() + 20.0, "{duration}");
    sandbox.assert_clean();
}

#[test]
fn m1_a_killed_image_is_ended_by_the_other_one() {
    for role in ["shim", "both"] {
        let sandbox = sandbox();
        let waiting = Waiting::begin(&sandbox);
        // What the end needs is in neither of these files.
        fs::write(waiting.run.directory().join("spec.json"), "{}").unwrap();
        fs::remove_file(waiting.run.directory().join("engine.json")).unwrap();
        if role == "both" {
            waiting.warden.kill();
            waiting.warden.wait_dead(SOON);
            waiting.main.tell("exit 3");
            let end = waiting.run.ended();
            assert_eq!(
                (&end["data"]["exit_code"], &end["data"]["ended_by"]),
                (&json!(3), &json!("shim"))
            );
        } else {
            waiting.shim.kill();
            let end = waiting.run.ended();
            assert_eq!(
                (&end["data"]["reason"], &end["data"]["ended_by"]),
                (&json!("supervisor_killed"), &json!("warden"))
            );
        }
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

#[test]
fn signals_and_stops_reach_both_images() {
    for how in ["worker stop", "SIGTERM to the shim", "SIGTERM to the warden"] {
        let sandbox = sandbox();
        let waiting = Waiting::begin(&sandbox);
        match how {
            "SIGTERM to the shim" => waiting.shim.signal(Signal::TERM),
            "SIGTERM to the warden" => waiting.warden.signal(Signal::TERM),
            _ => drop(sandbox.lattice(["worker", "stop", &waiting.run.id]).run().ok()),
        }
        let end = waiting.run.ended();
        let by = if how == "worker stop" { Value::Null } else { json!("SIGTERM") };
        let data = &end["data"];
        assert_eq!(
            (&data["reason"], &data["ended_by"], &data["ended_by_signal"]),
            (&json!("stopped"), &json!("shim"), &by),
            "{how}: {end}"
        );
        sandbox.assert_clean();
    }
}

#[test]
fn m11_a_limit_counts_from_the_start_and_not_from_the_second_image() {
    let sandbox = Sandbox::new();
    for (name, definition, reason) in [
        ("Late", json!({"timeout_minutes": 0.02}), "timed_out"),
        ("Silent", json!({"idle_timeout_minutes": 0.02}), "idle"),
    ] {
        let mut definition = definition;
        definition["command"] = json!("sleep 1000");
        sandbox.worker(name, definition);
        let end = sandbox.run_to_end(name);
        assert_eq!(end["data"]["reason"], reason, "{end}");
        let seconds = end["data"]["wall_seconds"].as_f64().unwrap();
        assert!((1.2..10.0).contains(&seconds), "{end}");
    }
}

#[test]
fn s23_secrets_are_hidden_by_the_second_image_too() {
    let sandbox = Sandbox::new();
    let steps = ["connect=main", "wait", "print=the key is tulip-4711-x", "exit=1"];
    define(&sandbox, json!({}), &steps);
    let begin = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    let started = begin.env("SOME_API_KEY", "tulip-4711-x").run().ok().data();
    let run = sandbox.run_of(&started);
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    wait_renewed(&shim);
    main.tell("go");
    let end = run.ended();
    assert!(run.log().contains("the key is") && !run.log().contains("tulip"), "{}", run.log());
    assert!(!end.to_string().contains("tulip"), "{end}");
}

/// A run with strace at one supervisor, which does this as it enters the `execve` that renews it.
struct Struck<'a> {
    held: Held<'a>,
    main: Peer,
}

impl<'a> Struck<'a> {
    #[track_caller]
    fn begin(sandbox: &'a Sandbox, role: &str, what: &str) -> Self {
        let inject = format!("inject=execve:{what}:when=1");
        let options = ["-e", "trace=execve", "-e", &inject];
        if role == "shim" {
            let mut held = Held::reach(sandbox, &Hold::Peer("setup"), "Work");
            let shim = held.shim.as_ref().expect("a peer has its shim");
            drop(strace::attached_with(sandbox, shim, &options));
            held.go_on();
            return Self { held, main: sandbox.socket.peer("main") };
        }
        let mut held = Held::reach(sandbox, &Hold::Answer, "Work");
        drop(strace::attached_with(sandbox, &held.warden, &options));
        held.answer();
        held.peers.push(sandbox.socket.peer("setup"));
        held.go_on();
        let main = sandbox.socket.peer("main");
        held.shim = Some(main.ancestor("lattice-shim shim"));
        Self { held, main }
    }

    fn shim(&self) -> &Process {
        self.held.shim.as_ref().expect("it is known")
    }

    /// Between the last look of the one image and the first of the other.
    #[track_caller]
    fn wait_between(&self, process: &Process) {
        eventually("all its signals are blocked", SOON, || match process.status("SigBlk") {
            Some(mask) if mask.starts_with("ffff") => Ok(()),
            other => Err(format!("SigBlk {other:?}")),
        });
    }

    #[track_caller]
    fn wait_refused(&self) {
        let trace = self.held.sandbox.base.join("trace");
        eventually("an exec was refused", SOON, || {
            let text = fs::read_to_string(&trace).unwrap_or_default();
            if text.contains("(INJECTED)") { Ok(()) } else { Err(text) }
        });
    }

    #[track_caller]
    fn assert_ends(self, reason: &str, by: &str, code: &Value, signal: &Value) {
        let Held { sandbox, ref run, .. } = self.held;
        let end = eventually("a terminal event", SOON, || {
            let (_, mut ends) = sandbox.runs_of(&sandbox.task).remove(run).unwrap_or_default();
            ends.pop().ok_or_else(|| "none yet".to_owned())
        });
        let data = &end["data"];
        let told =
            [&data["reason"], &data["ended_by"], &data["exit_code"], &data["ended_by_signal"]];
        assert_eq!(told, [&json!(reason), &json!(by), code, signal], "{end}");
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

fn held_if_traced(test: &str) -> Option<Sandbox> {
    let sandbox = held::sandbox();
    if strace::available(&sandbox) {
        return Some(sandbox);
    }
    skipped(test, "strace may not trace here");
    None
}

#[test]
fn where_the_exec_is_refused_the_wait_goes_on() {
    for role in ["shim", "warden"] {
        let Some(sandbox) = held_if_traced("where_the_exec_is_refused") else { return };
        let struck = Struck::begin(&sandbox, role, "error=ENOMEM");
        struck.wait_refused();
        if role == "shim" {
            assert!(!describe(struck.shim().pid).contains(" waits "));
            struck.main.tell("exit 3");
            struck.assert_ends("exited", "shim", &json!(3), &Value::Null);
        } else {
            struck.shim().kill();
            struck.assert_ends("supervisor_killed", "warden", &Value::Null, &Value::Null);
        }
    }
}

#[test]
fn s11_what_comes_between_two_images_is_heard_by_the_second() {
    const LONG: &str = "delay_enter=500000";
    let check = |role: &str,
                 what: &str,
                 act: &dyn Fn(&Struck<'_>),
                 reason: &str,
                 by: &str,
                 code: Value,
                 signal: Value| {
        let Some(sandbox) = held_if_traced("s11_what_comes_between_two_images") else { return };
        let struck = Struck::begin(&sandbox, role, what);
        act(&struck);
        struck.assert_ends(reason, by, &code, &signal);
    };
    let none = || Value::Null;
    let exit = |struck: &Struck<'_>| {
        struck.wait_between(struck.shim());
        struck.main.tell("exit 3");
    };
    let kill = |struck: &Struck<'_>| {
        struck.wait_between(&struck.held.warden);
        struck.shim().kill();
    };
    check("shim", LONG, &exit, "exited", "shim", json!(3), none());
    check("shim", "signal=SIGTERM", &|_| {}, "stopped", "shim", none(), json!("SIGTERM"));
    check("shim", "signal=SIGKILL", &|_| {}, "supervisor_killed", "warden", none(), none());
    check("warden", LONG, &kill, "supervisor_killed", "warden", none(), none());
    check("warden", "signal=SIGTERM", &|_| {}, "stopped", "shim", none(), json!("SIGTERM"));
    check(
        "warden",
        "signal=SIGKILL",
        &|struck| {
            struck.held.warden.wait_dead(SOON);
            struck.main.tell("exit 3");
        },
        "exited",
        "shim",
        json!(3),
        none(),
    );
}
