//! Scenarios of their own: what a strike at one system call is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::Signal;
use serde_json::json;

use super::stage::{Stage, command, traces};
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

pub const SCENARIOS: [Scenario; 10] = [
    scenario("5 SIGKILL of a working shim, untraced", "kill-shim", 12, 120, shim_killed),
    scenario("7 both killed, with daemons", "kill-both", 4, 40, both_killed),
    Scenario {
        needs: |stage| traces(&stage.sandbox),
        ..scenario("9 two enders without a lock", "two-enders", 2, 20, two_enders)
    },
    scenario("9 an ender beside the shim", "second-ender", 2, 20, beside_a_shim),
    scenario("11 a torn line", "torn", 2, 20, torn_line),
    Scenario {
        needs: can_have_pids,
        ..scenario("13 kill -9 -1 in a pid namespace", "everything", 2, 12, everything_killed)
    },
    Scenario {
        needs: can_limit,
        ..scenario("16 the OOM killer takes the engine", "oom", 1, 6, out_of_memory)
    },
    scenario("23 a stopped engine is stopped", "stopped", 2, 12, stopped_engine),
    Scenario {
        needs: can_freeze,
        ..scenario("26 an engine that cannot die", "frozen", 0, 1, frozen)
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
fn working(stage: &Stage) -> (Peer, Process, Process) {
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

/// Two finishers who both have seen no record: one is held before it publishes its own, the other is killed behind
/// that. The first record counts.
fn two_enders(stage: &Stage, seed: &str) -> Option<Duration> {
    let lost = || {
        let answer = stage.start("Lost").run().ok().data();
        stage.sandbox.socket.peer("main").wait_dead(SOON);
        answer
    };
    let before = stage.runs();
    let calls = stage.struck(finisher(stage, &stage.sandbox.run_of(&lost())), "-").1.calls;
    stage.settle(seed, &before, None);
    let at = |last: Option<usize>| {
        let (role, call, ordinal) =
            last.and_then(|last| calls.get(last)).expect("an end is linked");
        format!("{role}:{call}:{ordinal}")
    };
    let linked = |(_, call, _): &(String, String, usize)| call == "link" || call == "linkat";
    // The first rename claims the reserve; a second one before any link is the mistake that replaces.
    let renamed = |(_, call, ordinal): &(String, String, usize)| call == "rename" && *ordinal == 2;
    let last = calls.iter().rposition(linked).or_else(|| calls.iter().position(renamed));

    let before = stage.runs();
    let answer = lost();
    let run = stage.sandbox.run_of(&answer);
    let report = stage.sandbox.base.join("held");
    fs::write(&report, "").expect("the sandbox is writable");
    let striker = crate::harness::binaries::fake("striker");
    let words = [striker, report.display().to_string(), format!("{}:hold", at(last))];
    let first = finisher(stage, &run).through(words).start();
    eventually("the first finisher is held", SOON, || {
        let text = fs::read_to_string(&report).unwrap_or_default();
        if text.contains("struck") { Ok(()) } else { Err(text) }
    });
    stage.struck(finisher(stage, &run), &format!("{}:kill-behind", at(last)));
    let published = fs::read_to_string(run.directory().join("terminal.json"));
    let published: serde_json::Value =
        serde_json::from_str(&published.expect("the second has published")).expect("it is JSON");
    fs::write(report.with_extension("go"), "").expect("the sandbox is writable");
    first.finish();
    let end = stage.settle(seed, &before, None).end.expect("it had begun");
    assert_eq!(published, end, "{seed}: a record became another one");
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

/// Everything but the first process of the namespace dies in one moment; the next call is made in it.
fn everything_killed(stage: &Stage, seed: &str) -> Option<Duration> {
    let sandbox = &stage.sandbox;
    let before = stage.runs();
    let go = sandbox.base.join("go").display().to_string();
    let script = format!(
        "rm -f {go}; mkfifo {go}; lattice worker run Wait LAT-1 || exit 1; read word < {go}; kill -9 -1; \
         lattice worker ps; lattice worker reap"
    );
    let call = sandbox.program(["unshare", "-pf", "--mount-proc", "bash", "-c", &script]).start();
    let main = sandbox.socket.peer("main");
    sandbox.sh(&format!("echo go > {go}"));
    main.wait_dead(SOON);
    call.finish().ok();
    stage.settle(seed, &before, None);
    None
}

const MEMORY: &str = "/sys/fs/cgroup/memory/memory.limit_in_bytes";

fn can_limit(_: &Stage) -> Result<(), String> {
    let writable = rustix::fs::access(MEMORY, rustix::fs::Access::WRITE_OK).is_ok();
    if writable { Ok(()) } else { Err("no memory controller that may be written to".to_owned()) }
}

/// A control group of the test's own, gone with its value.
struct Group(std::path::PathBuf);

impl Group {
    fn new(controller: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lattice-campaign-{}-{number}", std::process::id());
        let path = std::path::Path::new("/sys/fs/cgroup").join(controller).join(name);
        fs::create_dir(&path).expect("a control group can be made");
        Self(path)
    }

    fn set(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).expect("a control group takes its settings");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let frozen = self.0.join("freezer.state");
        if frozen.exists() {
            drop(fs::write(frozen, "THAWED"));
        }
        // The kernel lets a group go when its last process has gone.
        drop(std::panic::catch_unwind(|| {
            eventually("the group is empty", SOON, || {
                fs::remove_dir(&self.0).map_err(|error| error.to_string())
            });
        }));
    }
}

fn out_of_memory(stage: &Stage, seed: &str) -> Option<Duration> {
    let group = Group::new("memory");
    group.set("memory.limit_in_bytes", "150M");
    let sandbox = &stage.sandbox;
    let greedy = command(sandbox, &["allocate=400", "exit=3"]);
    sandbox.worker("Greedy", json!({"command": greedy, "worktree": true}));
    let before = stage.runs();
    let procs = group.0.join("cgroup.procs").display().to_string();
    let script = format!("echo $$ > {procs} && exec lattice worker run Greedy LAT-1");
    sandbox.program(["bash", "-c", &script]).run().ok();
    let settled = stage.settle(seed, &before, None);
    let end = settled.end.expect("it had begun");
    assert_eq!(end["data"]["reason"], "oom_killed", "{seed}: {end}");
    assert_eq!(end["data"]["ended_by"], "shim", "{seed}: {end}");
    None
}

fn stopped_engine(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (main, _, _) = working(stage);
    main.signal(Signal::STOP);
    stage.sandbox.lattice(["worker", "stop", "--all"]).run().ok();
    let settled = stage.settle(seed, &before, None);
    let end = settled.end.expect("it had begun");
    assert_eq!(end["data"]["reason"], "stopped", "{seed}: {end}");
    None
}

fn can_freeze(_: &Stage) -> Result<(), String> {
    let path = "/sys/fs/cgroup/freezer/cgroup.procs";
    let writable = rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    if writable {
        Ok(())
    } else {
        Err("no freezer of control groups v1 that may be used".to_owned())
    }
}

/// A frozen process does not even die of SIGKILL, like one in uninterruptible sleep.
fn frozen(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (main, _, _) = working(stage);
    let group = Group::new("freezer");
    group.set("cgroup.procs", &main.pid.to_string());
    group.set("freezer.state", "FROZEN");
    let begin = Instant::now();
    stage.sandbox.lattice(["worker", "stop", "--now", "--all"]).start().finish_within(6 * SOON);
    let end = eventually("the record", 4 * SOON, || {
        let runs = stage.runs();
        let new = runs.into_iter().find(|(run, _)| !before.contains_key(run));
        new.and_then(|(_, (_, mut ends))| ends.pop()).ok_or_else(|| "no end yet".to_owned())
    });
    let time = begin.elapsed();
    let data = &end["data"];
    assert_eq!(data["survivors"], json!([main.pid]), "{seed}: {end}");
    let kept = data["kept_worktree"].as_str().unwrap_or_else(|| panic!("{seed}: {end}"));
    assert!(std::path::Path::new(kept).join("precious").exists(), "{seed}: {end}");
    assert!(time < Duration::from_secs(75), "{seed}: after {time:?}");
    drop(group);
    main.wait_dead(SOON);
    stage.remove_kept(&end);
    Some(time)
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
