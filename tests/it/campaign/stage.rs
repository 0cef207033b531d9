//! A sandbox for many trials: workers that die in different ways, bystanders that must not, and the tracer.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde_json::{Value, json};

use super::history::History;
use crate::harness::binaries;
use crate::harness::call::{Call, Finished, Running};
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::SOON;

/// The workers: their supervisors are left alone, or killed by the engine, one of them or both. Each leaves daemons.
pub const WORKERS: [(&str, &[&str]); 7] = [
    ("Work", &["exit=3"]),
    (WAITED, &["exit=3"]),
    ("NoShim", &["connect=main", "kill-parent=KILL", "wait"]),
    ("NoWarden", &["kill-grandparent=KILL", "exit=3"]),
    ("Lost", &["connect=main", "wait", "kill-grandparent=KILL", "kill-parent=KILL", "wait"]),
    ("Wait", &["connect=main", "wait"]),
    (LONG, &["exit=3"]),
];

/// What an engine of that worker does first.
fn waits(worker: &str) -> Option<&'static str> {
    (worker == LONG).then_some("await-parents=waits")
}

/// Its caller waits for its end, so that stage 0 stands between.
pub const WAITED: &str = "Waited";

/// The exit status of a caller that has waited for a run that did not complete.
pub const RUN_FAILED: i32 = 4;

/// Its engine does something when its supervisors have become themselves anew, or one second has passed.
pub const LONG: &str = "Long";

const DAEMONS: [&str; 2] = ["spawn-setsid=daemon", "spawn-env-i=daemon"];

pub struct Stage {
    pub sandbox: Sandbox,
    /// Processes of nobody's run: one with a foreign cookie, one without any.
    canaries: Vec<Peer>,
    running: Vec<Running>,
    /// What its log has said so far.
    pub history: RefCell<History>,
}

impl Stage {
    pub fn new() -> Self {
        Self::on(Sandbox::new())
    }

    pub fn on(sandbox: Sandbox) -> Self {
        fs::create_dir_all(sandbox.base.join("marks")).expect("the sandbox is writable");
        sandbox.workers(WORKERS.map(|(name, steps)| {
            let steps = DAEMONS.iter().chain(steps).copied();
            let steps: Vec<_> = waits(name).into_iter().chain(steps).collect();
            (name, json!({"command": command(&sandbox, &steps), "worktree": true}))
        }));
        let canary = |marks: &[&str]| {
            let words = ["env", "-i"].into_iter().chain(marks.iter().copied()).map(str::to_owned);
            let fake = sandbox.fake_argv(&["setsid", "connect=canary", "wait"]);
            let running = sandbox.program(words.chain(fake)).start();
            (sandbox.socket.peer("canary"), running)
        };
        let (canaries, running) =
            [canary(&[]), canary(&["LATTICE_STARTED_EVENT_ID=ev_01KA0000000000000000000000"])]
                .into_iter()
                .unzip();
        Self { sandbox, canaries, running, history: RefCell::default() }
    }

    pub fn start(&self, worker: &str) -> Call {
        let call = self.sandbox.lattice(["worker", "run", worker, "LAT-1", "--json"]);
        if worker == WAITED { call.arg("--wait") } else { call }
    }

    /// Makes a call under the tracer and waits for all that it has started.
    pub fn struck(&self, call: Call, strikes: &str, judges: bool) -> (Finished, Report) {
        let path = self.report();
        let words = [binaries::fake("striker")].into_iter();
        let words = words.chain(judges.then(|| "--judge".to_owned()));
        let words = words.chain([path.display().to_string(), strikes.to_owned()]);
        let finished = call.through(words).run();
        (finished, Report::read(&path))
    }

    fn report(&self) -> PathBuf {
        self.sandbox.base.join("report")
    }

    /// Lets others work. A bystander that dies wakes it, and the trial fails later.
    pub fn breathe(&self, time: Duration) {
        self.canaries[0].dies_within(time);
    }

    #[track_caller]
    pub fn assert_canaries(&self, context: &str) {
        for canary in &self.canaries {
            assert!(!canary.is_dead(), "{context}: a bystander was killed");
        }
    }
}

/// A run whose engine kills both of its supervisors, and dies with the shim.
pub fn lose(stage: &Stage) -> Value {
    let answer = stage.start("Lost").run().ok().data();
    let main = stage.sandbox.socket.peer("main");
    main.tell("go");
    main.wait_dead(SOON);
    answer
}

/// Work that must not be lost, a mark that it was begun, and then the steps.
pub fn command(sandbox: &Sandbox, steps: &[&str]) -> String {
    let (fake, marks) = (sandbox.fake_line(steps), sandbox.base.join("marks"));
    let marks = marks.display();
    format!("echo work > precious; : > {marks}/$LATTICE_STARTED_EVENT_ID; exec {fake}")
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.canaries.iter().for_each(|canary| canary.kill());
        for running in self.running.drain(..) {
            running.process().wait_dead(Duration::from_secs(10));
            if !std::thread::panicking() {
                running.finish();
            }
        }
    }
}

/// Whether processes can be traced here.
pub fn traces(sandbox: &Sandbox) -> Result<(), String> {
    let call = sandbox.program(["true"]);
    let report = sandbox.base.join("probe").display().to_string();
    let finished = call.through([binaries::fake("striker"), report, "-".to_owned()]).run();
    if finished.code == Some(0) {
        Ok(())
    } else {
        Err(format!("ptrace(2) cannot be used here: {}", finished.stderr.trim()))
    }
}

/// One call of one process, as the tracer has seen it.
#[derive(Clone)]
pub struct SystemCall {
    pub role: String,
    pub name: String,
    /// From 1, among those of this name in all processes of the role.
    pub ordinal: usize,
    /// The bytes that it is asked for, if it may return fewer.
    pub length: u64,
    /// It would be refused rather than wait.
    pub would_block: bool,
    /// One of the two supervisors had ended.
    pub alone: bool,
}

impl SystemCall {
    /// Also while the process is a child of that role that is not yet another program.
    pub fn is_of(&self, role: &str) -> bool {
        self.role.trim_end_matches('\'') == role
    }
}

/// What the tracer has written.
#[derive(Default)]
pub struct Report {
    /// Only without a strike.
    pub calls: Vec<SystemCall>,
    /// The moment of the first strike.
    pub struck: Option<SystemTime>,
    /// Signals that were sent to what was not the sender's own.
    pub strays: Vec<String>,
}

impl Report {
    fn read(path: &std::path::Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (mut report, mut alone) = (Self::default(), false);
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["call", role, name, ordinal, length, would_block] => {
                    report.calls.push(SystemCall {
                        role: role.to_owned(),
                        name: name.to_owned(),
                        ordinal: ordinal.parse().expect("an ordinal is a number"),
                        length: length.parse().expect("a length is a number"),
                        would_block: would_block == "true",
                        alone,
                    })
                }
                ["ended", "shim" | "warden" | "shim-waits" | "warden-waits", ..] => alone = true,
                ["struck", _, _, nanoseconds] => {
                    let since = Duration::from_nanos(nanoseconds.parse().expect("a time"));
                    report.struck.get_or_insert(SystemTime::UNIX_EPOCH + since);
                }
                ["stray", ..] => report.strays.push(line.to_owned()),
                _ => {}
            }
        }
        report
    }
}
