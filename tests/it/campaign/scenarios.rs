//! Scenarios of their own: what a strike at one system call is not.

use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::Signal;

use super::groups;
use super::oracle::{is_trash, kept};
use super::stage::{Stage, SystemCall, lose, traces};
use crate::harness::call::Call;
use crate::harness::process::Process;
use crate::harness::run::Run;
use crate::harness::socket::Peer;
use crate::harness::waiting::{SOON, eventually};

type Trial = fn(&Stage, &str) -> Option<Duration>;

/// One scenario: how often it is tried, and what it needs.
pub struct Scenario {
    pub name: &'static str,
    pub key: &'static str,
    pub quick: usize,
    pub full: usize,
    pub needs: fn(&Stage) -> Result<(), String>,
    pub trial: Trial,
}

pub const SCENARIOS: [Scenario; 14] = [
    scenario("5 SIGKILL of a working shim, untraced", "kill-shim", 12, 120, shim_killed),
    scenario("7 both killed, with daemons", "kill-both", 4, 40, both_killed),
    Scenario {
        needs: |stage| traces(&stage.sandbox),
        ..scenario("9 two enders without a lock", "two-enders", 2, 20, two_enders)
    },
    scenario("9 two enders save at once", "two-savers", 2, 20, two_savers),
    scenario("9 an ender beside the shim", "second-ender", 2, 20, beside_a_shim),
    Scenario {
        needs: |stage| traces(&stage.sandbox),
        ..scenario("10 killed between record and log", "unpublished", 1, 10, unpublished)
    },
    scenario("11 a torn line", "torn", 2, 20, torn_line),
    Scenario {
        needs: |stage| traces(&stage.sandbox),
        ..scenario("12 killed in the middle of its trash", "trash", 1, 10, trash)
    },
    Scenario {
        needs: can_have_pids,
        ..scenario("13 kill -9 -1 in a pid namespace", "everything", 2, 12, everything_killed)
    },
    Scenario {
        needs: groups::can_limit,
        ..scenario("16 the OOM killer takes the engine", "oom", 1, 6, groups::out_of_memory)
    },
    scenario("23 a stopped engine is stopped", "stopped", 2, 12, groups::stopped_engine),
    Scenario {
        needs: groups::can_freeze,
        ..scenario("26 an engine that cannot die", "frozen", 0, 1, groups::frozen)
    },
    Scenario {
        needs: groups::has_memory,
        ..scenario("27 an engine of 2 GB aborts", "core", 0, 2, groups::big_core)
    },
    scenario("29 git gc and prune during the end", "maintenance", 2, 20, maintenance),
];

const fn scenario(
    name: &'static str,
    key: &'static str,
    quick: usize,
    full: usize,
    trial: Trial,
) -> Scenario {
    Scenario { name, key, quick, full, needs: |_| Ok(()), trial }
}

/// `scene KEY NUMBER`.
pub fn trial(stage: &Stage, seed: &str) -> Option<Duration> {
    let key = seed.split(' ').nth(1).unwrap_or_default();
    let found = SCENARIOS.iter().find(|scenario| scenario.key == key);
    (found.unwrap_or_else(|| panic!("no scenario: {seed}")).trial)(stage, seed)
}

/// A run that works: its engine, and both supervisors.
pub fn working(stage: &Stage) -> (Peer, Process, Process) {
    let answer = stage.start("Wait").run().ok().data();
    let main = stage.sandbox.socket.peer("main");
    let (shim, warden) = stage.sandbox.run_of(&answer).supervisors(&main);
    (main, shim, warden)
}

/// In real time: the promise is about this.
fn shim_killed(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (_main, shim, _) = working(stage);
    let begin = Instant::now();
    shim.kill();
    let time = stage.wait_recorded(&before, begin);
    stage.settle(seed, &before, None);
    Some(time)
}

fn both_killed(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (main, shim, warden) = working(stage);
    for process in [&warden, &shim] {
        process.signal(Signal::STOP);
    }
    for process in [&warden, &shim] {
        process.kill();
        process.wait_dead(SOON);
    }
    main.wait_dead(SOON);
    let settled = stage.settle(seed, &before, None);
    let end = settled.end.expect("it had begun");
    assert_eq!(end["data"]["reason"], "supervisor_lost", "{seed}: {end}");
    settled.time
}

/// A finisher for this run, without its lock: as on a file system on which locks prove nothing.
fn finisher(stage: &Stage, run: &Run<'_>) -> Call {
    let shim = crate::harness::binaries::fake("lattice-shim");
    let directory = run.directory().display().to_string();
    stage.sandbox.program([shim, "finish".to_owned(), directory])
}

/// A shim in its salvage, and a finisher beside it, which takes it for a process of the run.
fn beside_a_shim(stage: &Stage, seed: &str) -> Option<Duration> {
    let sandbox = &stage.sandbox;
    let held = sandbox.fake_line(&["connect=git", "wait", "exec=cat"]);
    let flag = sandbox.base.join("hold").display().to_string();
    let hold = format!("rmdir {flag} 2>/dev/null && exec {held}; exec cat");
    sandbox.git(["config", "filter.hold.clean", &hold]);
    sandbox.write(".git/info/attributes", "precious filter=hold\n");
    sandbox.sh(&format!("mkdir {flag}"));
    let before = stage.runs();
    let answer = stage.start("Work").run().ok().data();
    let git = sandbox.socket.peer("git");
    finisher(stage, &sandbox.run_of(&answer)).run().ok();
    drop(git);
    let settled = stage.settle(seed, &before, None);
    stage.remove_kept(&settled.end.expect("it had begun"));
    sandbox.sh("rm .git/info/attributes");
    None
}

/// Two finishers in their salvage, each with its git: the one ends while the other is not halfway. Whoever is first,
/// the record names what was saved.
fn two_savers(stage: &Stage, seed: &str) -> Option<Duration> {
    let sandbox = &stage.sandbox;
    let held = sandbox.fake_line(&["connect=git", "wait", "exec=cat"]);
    let flag = sandbox.base.join("hold").display().to_string();
    let hold =
        format!("rmdir {flag}1 2>/dev/null || rmdir {flag}2 2>/dev/null && exec {held}; exec cat");
    sandbox.git(["config", "filter.hold.clean", &hold]);
    let before = stage.runs();
    let answer = lose(stage);
    sandbox.write(".git/info/attributes", "precious filter=hold\n");
    sandbox.sh(&format!("mkdir {flag}1 {flag}2"));
    let run = sandbox.run_of(&answer);
    let mut savers = Vec::new();
    for _ in 0..2 {
        let call = finisher(stage, &run).start();
        savers.push((call, sandbox.socket.peer("git")));
    }
    if seed.ends_with(['1', '3', '5', '7', '9']) {
        savers.reverse();
    }
    for (call, git) in savers {
        git.tell("go");
        call.finish();
    }
    let end = stage.settle(seed, &before, None).end.expect("it had begun");
    let saved = &end["data"]["preserved_ref"];
    assert!(saved.is_string() && kept(&end).is_none(), "{seed}: its work is not named: {end}");
    sandbox.sh("rm .git/info/attributes");
    None
}

/// The calls of a shim without a warden, in their order, up to its last name for the record.
fn last_shim(stage: &Stage) -> (Vec<SystemCall>, usize) {
    let before = stage.runs();
    let calls = stage.struck(stage.start("NoWarden"), "-", false).1.calls;
    stage.settle("a shim that nobody strikes", &before, None);
    let at = publication(&calls);
    (calls, at)
}

/// Where the record gets its name. The first rename claims the reserve; a second one before any link would be the
/// mistake that replaces.
fn publication(calls: &[SystemCall]) -> usize {
    let linked = |call: &SystemCall| call.name == "link" || call.name == "linkat";
    let renamed = |call: &SystemCall| call.name == "rename" && call.ordinal == 2;
    let at = calls.iter().rposition(linked).or_else(|| calls.iter().position(renamed));
    at.expect("a record is published")
}

fn moment(call: &SystemCall) -> String {
    format!("{}:{}:{}", call.role, call.name, call.ordinal)
}

/// The record is published and in no log: whoever comes next writes that one, and no other.
fn unpublished(stage: &Stage, seed: &str) -> Option<Duration> {
    let (calls, at) = last_shim(stage);
    let before = stage.runs();
    let strike = format!("{}:kill-behind", moment(&calls[at]));
    let answer = stage.struck(stage.start("NoWarden"), &strike, true).0.ok().data();
    let run = stage.sandbox.run_of(&answer);
    let published = fs::read_to_string(run.directory().join("terminal.json"));
    let published: serde_json::Value =
        serde_json::from_str(&published.expect("it is published")).expect("it is JSON");
    assert!(run.terminal().is_none(), "{seed}: it is in the log already");
    let end = stage.settle(seed, &before, None).end.expect("it had begun");
    assert_eq!(published, *end, "{seed}: another record than the one that was published");
    assert_eq!(end["data"]["exit_code"], 3, "{seed}: {end}");
    None
}

/// What has the name of trash is deleted by whoever comes next.
fn trash(stage: &Stage, seed: &str) -> Option<Duration> {
    let (calls, at) = last_shim(stage);
    let unlinked = |call: &&SystemCall| call.role == "shim" && call.name == "unlinkat";
    let deep = calls[at..].iter().filter(unlinked).nth(2).expect("a worktree is deleted");
    let before = stage.runs();
    stage.struck(stage.start("NoWarden"), &format!("{}:kill", moment(deep)), true).0.ok();
    let left = stage.sandbox.traces();
    assert!(left.iter().any(is_trash), "{seed}: {left:?}");
    stage.settle(seed, &before, None);
    None
}

/// Two finishers who both have seen no record: one is held before it publishes its own, the other is killed behind
/// that. The first record counts.
fn two_enders(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let calls =
        stage.struck(finisher(stage, &stage.sandbox.run_of(&lose(stage))), "-", false).1.calls;
    stage.settle(seed, &before, None);
    let at = moment(&calls[publication(&calls)]);

    let before = stage.runs();
    let answer = lose(stage);
    let run = stage.sandbox.run_of(&answer);
    let report = stage.sandbox.base.join("held");
    fs::write(&report, "").expect("the sandbox is writable");
    let striker = crate::harness::binaries::fake("striker");
    let words = [striker, report.display().to_string(), format!("{}:hold", at)];
    let first = finisher(stage, &run).through(words).start();
    eventually("the first finisher is held", SOON, || {
        let text = fs::read_to_string(&report).unwrap_or_default();
        if text.contains("struck") { Ok(()) } else { Err(text) }
    });
    stage.struck(finisher(stage, &run), &format!("{}:kill-behind", at), true);
    let published = fs::read_to_string(run.directory().join("terminal.json"));
    let published: serde_json::Value =
        serde_json::from_str(&published.expect("the second has published")).expect("it is JSON");
    fs::write(report.with_extension("go"), "").expect("the sandbox is writable");
    first.finish();
    let end = stage.settle(seed, &before, None).end.expect("it had begun");
    assert_eq!(published, *end, "{seed}: a record became another one");
    fs::remove_file(report.with_extension("go")).expect("it is there");
    None
}

/// Whoever wrote the end was cut off in the middle of the line.
fn torn_line(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (main, shim, warden) = working(stage);
    for process in [&warden, &shim] {
        process.signal(Signal::STOP);
        process.kill();
    }
    for process in [&warden, &shim, &main] {
        process.wait_dead(SOON);
    }
    let log = format!(".lattice/events/{}.jsonl", stage.sandbox.task);
    stage.sandbox.sh(&format!("printf '{{\"actor\":\"agent:worker\",\"data\":{{' >> {log}"));
    stage.sandbox.lattice(["worker", "ps"]).run().ok();
    stage.settle(seed, &before, None).time
}

fn can_have_pids(stage: &Stage) -> Result<(), String> {
    let probe = stage.sandbox.program(["unshare", "-pf", "--mount-proc", "true"]).run();
    if probe.code == Some(0) { Ok(()) } else { Err(format!("unshare -p: {}", probe.stderr.trim())) }
}

/// Everything but the first process of the namespace dies in one moment; when it is dead, the next call is made there.
fn everything_killed(stage: &Stage, seed: &str) -> Option<Duration> {
    let sandbox = &stage.sandbox;
    let before = stage.runs();
    let go = sandbox.base.join("go").display().to_string();
    // The end of the first process is that of all others in there, also of a finisher that takes longer than the calls wait
    // that have started it.
    let alone = "while set -- /proc/[0-9]*; [ $# -gt 1 ]; do :; done";
    let script = format!(
        "rm -f {go}; mkfifo {go}; lattice worker run Wait LAT-1 || exit 1; read word < {go}; kill -9 -1; \
         {alone}; lattice worker ps && lattice worker reap || exit 1; {alone}"
    );
    let call = sandbox.program(["unshare", "-pf", "--mount-proc", "bash", "-c", &script]).start();
    let main = sandbox.socket.peer("main");
    sandbox.sh(&format!("echo go > {go}"));
    main.wait_dead(SOON);
    call.finish().ok();
    stage.settle(seed, &before, None);
    None
}

fn maintenance(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    stage.start("Work").run().ok();
    let script = "for n in 1 2 3 4 5 6; do git worktree prune; git gc -q --prune=now; done";
    let busy = stage.sandbox.program(["bash", "-c", script]).start();
    stage.settle(seed, &before, None);
    // Only what is unreachable may go.
    busy.finish();
    stage.sandbox.git(["fsck", "--connectivity-only"]);
    None
}
