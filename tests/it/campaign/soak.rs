//! Many runs at once, kills of anything at random, and readers who look on.

use std::time::{Duration, Instant};

use serde_json::json;

use super::oracle;
use super::seeds::Random;
use super::stage::Stage;
use super::table::Row;
use crate::harness::call::Running;
use crate::harness::campaign::{age_unlocked, supervisors};
use crate::harness::process::Process;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

const READERS: usize = 8;

/// Tasks, of which each has one run at a time, and for how long.
#[derive(Clone, Copy)]
pub struct Size {
    pub tasks: usize,
    pub time: Duration,
}

impl Size {
    pub fn title(self) -> String {
        format!("30 a soak of {} tasks for {} s", self.tasks, self.time.as_secs())
    }
}

/// Answers how many runs were started, and how many processes were killed.
pub fn soak(size: Size, seed: u64) -> (usize, usize) {
    let stage = Stage::new();
    let sandbox = &stage.sandbox;
    let steps = ["spawn-env-i=daemon", "connect=main", "wait"];
    sandbox.worker("Soak", json!({"command": sandbox.fake(&steps), "worktree": true}));
    sandbox.worker("Brief", json!({"command": "exit 3"}));
    let tasks: Vec<_> =
        (0..size.tasks).map(|number| sandbox.create(&format!("Task {number}"))).collect();
    let mut random = Random::new(seed);
    let (mut calls, mut readers): (Vec<Running>, Vec<Running>) = (Vec::new(), Vec::new());
    let (mut next, mut killed) = (0, 0);
    let begin = Instant::now();
    while begin.elapsed() < size.time {
        ended(&mut readers).into_iter().for_each(|reader| drop(reader.finish()));
        while readers.len() < READERS {
            readers.push(sandbox.lattice(["worker", "ps", "--json"]).start());
        }
        ended(&mut calls).into_iter().for_each(|call| drop(call.finish()));
        // Few callers at a time, but for as long as it takes until every task has its run.
        while calls.len() < 6 {
            let worker = if random.below(3) == 0 { "Brief" } else { "Soak" };
            let call = sandbox.lattice(["worker", "run", worker, &tasks[next % tasks.len()]]);
            calls.push(call.start());
            next += 1;
        }
        // An engine whose peer is dropped ends by itself; half of them do.
        for peer in sandbox.socket.others() {
            if random.below(2) == 0 {
                peer.tell_perhaps("exit 3");
            }
        }
        let living = sandbox.own_processes();
        for _ in 0..random.below(4).min(living.len()) {
            random.pick(&living).kill();
            killed += 1;
        }
        stage.breathe(Duration::from_millis(20));
    }
    calls.into_iter().chain(readers).for_each(|call| drop(call.finish()));
    (settled(&stage, sandbox, &tasks), killed)
}

fn ended(calls: &mut Vec<Running>) -> Vec<Running> {
    let (over, left) = calls.drain(..).partition(|call| call.process().is_dead());
    *calls = left;
    over
}

/// Whoever is still supervised ends when its engine hears that nobody listens; the rest needs one call.
fn settled(stage: &Stage, sandbox: &Sandbox, tasks: &[String]) -> usize {
    eventually("the supervisors have ended", 10 * SOON, || {
        drop(sandbox.socket.others());
        match supervisors(sandbox) {
            0 => Ok(()),
            left => Err(format!("{left} supervisors")),
        }
    });
    age_unlocked(sandbox);
    sandbox.lattice(["worker", "ps"]).run().ok();
    let mut started = 0;
    eventually("everything has settled", 4 * SOON, || {
        started = 0;
        let mut kept = Vec::new();
        for task in tasks {
            for (run, (starts, ends)) in sandbox.runs_of(task) {
                started += starts.len();
                kept.extend(ends.iter().filter_map(oracle::kept));
                if (starts.len(), ends.len()) != (1, 1) {
                    return Err(format!("{run}: {starts:?} {ends:?}"));
                }
            }
        }
        // A git that was killed has saved nothing: its worktree is kept, and named.
        let mut left = sandbox.traces();
        left.retain(|trace| !kept.iter().any(|name| trace.contains(name)));
        if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
    });
    let peers = sandbox.socket.others();
    let alive: Vec<_> = peers.iter().filter(|peer| !Process::is_dead(peer)).collect();
    assert!(alive.is_empty(), "{alive:?} outlives its record");
    stage.assert_canaries("the soak");
    started
}

pub fn row(size: Size, seed: u64) -> Row {
    let mut row = Row::new(size.title());
    let tried = std::panic::catch_unwind(|| soak(size, seed));
    match tried {
        Ok((runs, killed)) => {
            println!("soak: {runs} runs, {killed} kills");
            row.trials = killed;
        }
        Err(_) => {
            println!("VIOLATION {}", super::pool::last_words());
            row.failures.push(format!("soak {seed}"));
        }
    }
    row
}
