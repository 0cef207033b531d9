//! One process struck at one system call: killed, alone or with all others, refused by the system, or cut short.

use std::collections::BTreeMap;

use super::errors::FAULTS;
use super::moments::{self, acts, fits};
use super::pool::{self, Limits, Tried};
use super::seeds::Random;
use super::stage::{LONG, RUN_FAILED, Stage, SystemCall, WAITED, lose, traces};
use super::table::Row;
use crate::harness::binaries::variable;

/// A series of strikes.
#[derive(Clone, Copy)]
pub struct Series {
    name: &'static str,
    /// Workers, and the roles that are struck in a run of theirs; each also while its child is not yet another program.
    on: On,
    fault: &'static str,
    /// How many a sample has.
    quick: usize,
}

type On = &'static [(&'static str, &'static [&'static str])];

const EVERYBODY: &[&str] = &["cli", "warden", "shim", "gate", "helper"];
const WAITING: &[&str] = &["warden", "shim", "warden-waits", "shim-waits"];
const WAITER: &[&str] = &["cli", "stage0"];
const REAPERS: &[&str] = &["cli", "stage0", "finish", "helper"];

pub const KILLS: [Series; 10] = [
    kill("5 8 SIGKILL of the CLI", &[("Work", &["cli"])], 14),
    kill("5 8 SIGKILL of a CLI that waits, and of stage 0", &[(WAITED, WAITER)], 12),
    kill("5 SIGKILL of the shim", &[("Work", &["shim"])], 24),
    kill("6 SIGKILL of the warden", &[("Work", &["warden"])], 12),
    kill("5 6 SIGKILL of supervisors that wait", &[(LONG, WAITING)], 16),
    kill("5 SIGKILL of gate and helpers", &[("Work", &["gate", "helper"])], 8),
    kill("5 SIGKILL of the warden that finishes", &[("NoShim", &["warden"])], 16),
    kill("7 SIGKILL of the last shim", &[("NoWarden", &["shim"])], 16),
    Series { fault: "kill-all", ..kill("7 13 SIGKILL of all at once", EVERYBODY_AT_ONCE, 24) },
    kill("9 SIGKILL of the reaper, then three", &[("Lost", REAPERS)], 16),
];

const EVERYBODY_AT_ONCE: On = &[("Work", EVERYBODY), (WAITED, WAITER)];

/// Each error, for everybody who can come across it: in a run, in the end by a warden or by a reaper.
const REFUSED: On = &[
    ("Work", EVERYBODY),
    (WAITED, WAITER),
    (LONG, WAITING),
    ("NoShim", &["warden"]),
    ("Lost", REAPERS),
];

const fn kill(name: &'static str, on: On, quick: usize) -> Series {
    Series { name, on, fault: "kill", quick }
}

pub fn all() -> Vec<Series> {
    let refusals = FAULTS.map(|fault| Series { name: fault, on: REFUSED, fault, quick: 8 });
    KILLS.into_iter().chain(refusals).collect()
}

/// A row for each series, and one for its kills between two calls that act. All trials are shuffled together, so that a
/// lack of time takes from each; those kills come last, because another one stands for each of them.
pub fn rows(series: &[Series], is_full: bool, seed: u64, limits: Limits) -> Vec<Row> {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return series.iter().map(|series| Row::skipped(series.title(), why.clone())).collect();
    }
    let mut random = Random::new(seed);
    let only = variable("LATTICE_CAMPAIGN_ONLY").unwrap_or_default().display().to_string();
    let mut rows = Vec::new();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut unlisted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |title: String, mut seeds: Vec<String>, to: &mut Vec<(usize, String)>| {
        seeds.retain(|seed| seed.contains(&only));
        if !seeds.is_empty() {
            to.extend(seeds.into_iter().map(|seed| (rows.len(), seed)));
            rows.push(Row::new(title));
        }
    };
    for series in series {
        let (chosen, between) = series.seeds(&stage, is_full, &mut random);
        for seed in series.unlisted(&stage) {
            unlisted.entry(seed).or_default().push(series.title());
        }
        add(series.title(), chosen, &mut first);
        add(format!("{}, between two acts", series.title()), between, &mut last);
    }
    drop(stage);
    random.shuffle(&mut first);
    random.shuffle(&mut last);
    println!("{} strikes, and {} between two acts", first.len(), last.len());
    first.append(&mut last);
    pool::all(&mut rows, &first, limits, Stage::new, trial);
    rows.extend(unlisted.into_iter().map(|(seed, series)| {
        let why = format!("no call to strike, this machine is too busy: {}", series.join(", "));
        let failures = if is_full { vec![seed.clone()] } else { Vec::new() };
        Row { failures, ..Row::skipped(seed, why) }
    }));
    rows
}

/// The calls of one worker's run at which it is struck.
fn calls(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    match worker {
        // Until there is something to wait for it is another `Work`.
        LONG | WAITED => moments::beyond(stage, worker, "Work"),
        _ => shown(stage, worker),
    }
}

/// Those that its runs have, also if others have them as well.
fn shown(stage: &Stage, worker: &str) -> Vec<SystemCall> {
    let mut calls = moments::of(stage, worker);
    // Before the other supervisor's death this run is like one of `Work`.
    calls.retain(|call| call.alone || !["NoShim", "NoWarden"].contains(&worker));
    calls
}

/// `list WORKER ROLE`: a run of that worker has calls of that role.
pub fn listed(stage: &Stage, seed: &str) -> Tried {
    let words: Vec<_> = seed.split(' ').collect();
    let [_, worker, role] = words[..] else { panic!("no seed of a listing: {seed}") };
    let listed = shown(stage, worker).iter().any(|call| call.is_of(role));
    assert!(listed, "{seed}: none");
    Tried { time: None, missed: false }
}

/// So many of each series.
pub fn sampled(series: &[Series], count: usize, stage: &Stage, random: &mut Random) -> Vec<String> {
    let series = series.iter().map(|series| Series { quick: count, ..*series });
    series.flat_map(|series| series.seeds(stage, false, random).0).collect()
}

impl Series {
    pub fn title(&self) -> String {
        match self.fault {
            "kill" | "kill-all" => self.name.to_owned(),
            "short" => "18 19 20 short reads and writes, of everybody".to_owned(),
            error => format!("18 19 20 {error}, of everybody"),
        }
    }

    /// Who of them has no call at all: no strike of this series can hit it.
    fn unlisted(&self, stage: &Stage) -> Vec<String> {
        let mut seeds = Vec::new();
        for (worker, roles) in self.on {
            let calls = shown(stage, worker);
            let unlisted = roles.iter().filter(|role| !calls.iter().any(|call| call.is_of(role)));
            seeds.extend(unlisted.map(|role| format!("list {worker} {role}")));
        }
        seeds
    }

    /// A sample; or every moment, and apart from them the kills at calls that act on nothing outside of their process.
    fn seeds(
        &self,
        stage: &Stage,
        is_full: bool,
        random: &mut Random,
    ) -> (Vec<String>, Vec<String>) {
        let (mut chosen, mut between) = (Vec::new(), Vec::new());
        for (worker, roles) in self.on {
            let is_struck = |call: &SystemCall| {
                roles.iter().any(|role| call.is_of(role)) && fits(call, self.fault)
            };
            for call in calls(stage, worker).into_iter().filter(is_struck) {
                let while_ = if self.lasts(&call, random) { "*6" } else { "" };
                let SystemCall { role, name, ordinal, .. } = &call;
                let fault = self.fault;
                let seed = format!("strike {worker} {role}:{name}:{ordinal}:{fault}{while_}");
                if !fault.starts_with("kill") || acts(&call) {
                    chosen.push((seed, call));
                } else if fault == "kill" {
                    between.push(seed);
                }
            }
        }
        if is_full {
            (chosen.into_iter().map(|(seed, _)| seed).collect(), between)
        } else {
            (moments::sample(chosen, self.quick, random), Vec::new())
        }
    }

    /// What a process meets once it may meet again: one in three goes on for six calls.
    fn lasts(&self, call: &SystemCall, random: &mut Random) -> bool {
        let can = ["ENOSPC", "EIO", "EMFILE"].contains(&self.fault);
        can && (call.name == "socketpair" || random.below(3) == 0)
    }
}

/// `strike WORKER STRIKE`. A moment that this run does not come to is tried again.
pub fn trial(stage: &Stage, seed: &str) -> Tried {
    let mut tried = strike(stage, seed);
    for _ in 0..2 {
        if tried.missed {
            tried = strike(stage, seed);
        }
    }
    tried
}

fn strike(stage: &Stage, seed: &str) -> Tried {
    let words: Vec<_> = seed.split(' ').collect();
    let [_, worker, strike] = words[..] else { panic!("no seed of a strike: {seed}") };
    // To look at every signal costs as much as the run: at those of one trial in eight.
    let judges =
        strike.split(':').nth(2).is_some_and(|at| at.parse().is_ok_and(|n: usize| n % 8 == 1));
    let before = stage.runs();
    let mut told = None;
    let struck = if worker == "Lost" {
        lose(stage);
        let (_, report) = stage.struck(stage.sandbox.lattice(["worker", "reap"]), strike, judges);
        let calls = [0; 3].map(|_| stage.sandbox.lattice(["worker", "reap"]).start());
        calls.into_iter().for_each(|call| drop(call.finish().ok()));
        report
    } else {
        let (finished, report) = stage.struck(stage.start(worker), strike, judges);
        let code = finished.code.unwrap_or_default();
        assert!(code != 70 && code != 101, "{seed}: a bug: {finished}");
        assert!(worker != WAITED || code != 0, "{seed}: no engine exits with 0: {finished}");
        told = (code == RUN_FAILED).then(|| finished.json()["data"]["outcome"].clone());
        report
    };
    let settled = stage.settle(seed, &before, struck.struck);
    assert_eq!(struck.strays, [""; 0], "{seed}: signals to strangers");
    if let Some(told) = told {
        assert_eq!(Some(&told), settled.end.as_deref(), "{seed}: the caller is told another end");
    }
    if let Some(end) = &settled.end {
        stage.remove_kept(end);
    }
    let missed = struck.struck.is_none() && strike != "-";
    Tried { time: settled.time.filter(|_| struck.struck.is_some()), missed }
}
