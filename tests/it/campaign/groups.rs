//! Scenarios with a control group, or without much memory: what the kernel does to an engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::Signal;
use serde_json::json;

use super::scenarios::working;
use super::stage::{Stage, command};
use crate::harness::waiting::{SOON, eventually};

const MEMORY: &str = "/sys/fs/cgroup/memory/memory.limit_in_bytes";

pub fn can_limit(_: &Stage) -> Result<(), String> {
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

pub fn out_of_memory(stage: &Stage, seed: &str) -> Option<Duration> {
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

pub fn stopped_engine(stage: &Stage, seed: &str) -> Option<Duration> {
    let before = stage.runs();
    let (main, _, _) = working(stage);
    main.signal(Signal::STOP);
    stage.sandbox.lattice(["worker", "stop", "--all"]).run().ok();
    let settled = stage.settle(seed, &before, None);
    let end = settled.end.expect("it had begun");
    assert_eq!(end["data"]["reason"], "stopped", "{seed}: {end}");
    None
}

pub fn can_freeze(_: &Stage) -> Result<(), String> {
    let path = "/sys/fs/cgroup/freezer/cgroup.procs";
    let writable = rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    if writable {
        Ok(())
    } else {
        Err("no freezer of control groups v1 that may be used".to_owned())
    }
}

/// A frozen process does not even die of SIGKILL, like one in uninterruptible sleep.
pub fn frozen(stage: &Stage, seed: &str) -> Option<Duration> {
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

const CORE: u64 = 2 << 30;

pub fn has_memory(_: &Stage) -> Result<(), String> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let enough = free.is_some_and(|free| free << 10 > 2 * CORE);
    if enough { Ok(()) } else { Err(format!("{free:?} kB of memory are free")) }
}

/// An engine of 2 GB that dies as one which dumps core, and could: its record does not wait for that, and no core is
/// left, because supervisors and engines have RLIMIT_CORE 0.
pub fn big_core(stage: &Stage, seed: &str) -> Option<Duration> {
    let sandbox = &stage.sandbox;
    let steps = [&format!("allocate={}", CORE >> 20), "connect=main", "wait", "kill-self=ABRT"];
    sandbox.worker("Big", json!({"command": command(sandbox, &steps), "worktree": true}));
    let before = stage.runs();
    stage.start("Big").run().ok();
    let main = sandbox.socket.peer("main");
    let begin = Instant::now();
    main.tell("go");
    let time = stage.wait_recorded(&before, begin);
    let end = stage.settle(seed, &before, None).end.expect("it had begun");
    assert_eq!(end["data"]["signal"], Signal::ABORT.as_raw(), "{seed}: {end}");
    let saved = end["data"]["preserved_ref"].as_str().expect("its work is saved");
    let files = sandbox.git(["diff", "--name-only", "HEAD", saved]);
    assert_eq!(files, "precious", "{seed}: a core would be there: {end}");
    assert!(time < Duration::from_secs(30), "{seed}: after {time:?}");
    Some(time)
}
