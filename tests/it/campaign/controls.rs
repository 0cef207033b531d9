//! The proof that the campaign could fail: binaries with a mistake on purpose. One trial is made to find each of them;
//! in a full campaign the ordinary trials must find it as well, in the order of their random numbers.

use std::path::Path;
use std::time::Duration;

use super::pool::{self, Limits};
use super::scenarios::SCENARIOS;
use super::seeds::Random;
use super::stage::Stage;
use super::table::Row;
use super::{run, strikes};
use crate::harness::binaries::variable;
use crate::harness::call::command;

/// Mistake, and trials of which one must find it. The first is scenario 25.
pub const CONTROLS: [(&str, &str); 5] = [
    ("LeakedLock", "scene kill-both"),
    ("LateIntent", "kill-all"),
    ("GroupKill", "scene kill-shim"),
    ("EarlyReap", "strike Work -"),
    ("Replace", "scene two-enders"),
];

const ORDINARY: &str = "ordinary ";

/// Each in a process of its own, because binaries are found once.
pub fn rows(is_full: bool) -> Vec<Row> {
    let shown = CONTROLS.iter().map(|(name, _)| (*name).to_owned());
    let ordinary = CONTROLS.iter().filter(|_| is_full).map(|(name, _)| format!("{ORDINARY}{name}"));
    shown.chain(ordinary).map(|name| row(&name)).collect()
}

/// `NAME`, or `ordinary NAME`.
pub fn row(name: &str) -> Row {
    let control = name.trim_start_matches(ORDINARY);
    let by = if control == name { "" } else { ", by the ordinary trials" };
    let mut row = Row::new(format!("25 control {control}{by}"));
    let Some(binaries) = variable("LATTICE_CONTROLS").filter(|path| Path::new(path).is_dir())
    else {
        return Row::skipped(row.name, "no binaries with the feature `controls`");
    };
    let own = std::env::current_exe().expect("the running test knows its path");
    let output = command(own)
        .args(["--ignored", "--exact", "campaign::run::the_campaign", "--nocapture"])
        .env("LATTICE_BIN_DIR", binaries)
        .env("LATTICE_CONTROL", control)
        .env("LATTICE_CAMPAIGN", format!("control {name}"))
        .env_remove("LATTICE_CAMPAIGN_REPORT")
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    row.trials = 1;
    match text.lines().find_map(|line| line.strip_prefix("VIOLATION ")) {
        Some(found) => {
            println!("{name} is found: {found}");
            let after = text.lines().find_map(|line| line.strip_prefix("FOUND AFTER "));
            row.note =
                Some(format!("found after {} trials, by `{found}`", after.unwrap_or("some")));
        }
        None if text.contains("cannot be used here") => {
            row.skipped = Some("as its scenario".to_owned())
        }
        None => {
            println!("{name} IS NOT FOUND\n{text}");
            row.failures.push(format!("control {name}"));
        }
    }
    row
}

/// In that process: until the first violation.
pub fn provoke(name: &str, seed: u64) -> Row {
    let row = match name.strip_prefix(ORDINARY) {
        Some(control) => by_ordinary(control, seed),
        None => by_its_own(name),
    };
    println!("FOUND AFTER {}", row.trials);
    row
}

fn by_its_own(name: &str) -> Row {
    let found = CONTROLS.iter().find(|(control, _)| *control == name);
    let (_, trials) = found.unwrap_or_else(|| panic!("no control {name}"));
    let limits = Limits { violations: 1, ..Limits::within(Duration::from_mins(2)) };
    if *trials == "kill-all" {
        let [.., all, _] = strikes::KILLS;
        let rows = strikes::rows(&[all], true, 1, limits);
        return rows.into_iter().next().expect("a row for each series");
    }
    let mut row = Row::new(name);
    pool::each(&mut row, &vec![(*trials).to_owned(); 10], limits, Stage::new, run::trial);
    row
}

/// A sample of strikes, scenes and trees as a campaign tries them, shuffled.
fn by_ordinary(name: &str, seed: u64) -> Row {
    let limits = Limits { violations: 1, ..Limits::within(Duration::from_mins(5)) };
    let mut row = Row::new(name);
    // To list the calls takes runs that nobody strikes: the first trials of all.
    if let Ok(seeds) = std::panic::catch_unwind(|| ordinary(seed)) {
        pool::each(&mut row, &seeds, limits, Stage::new, run::trial);
    } else {
        let unstruck = "a run that nobody strikes";
        println!("VIOLATION {unstruck}\n{}", pool::last_words());
        row.trials = 1;
        row.failures.push(unstruck.to_owned());
    }
    row
}

fn ordinary(seed: u64) -> Vec<String> {
    let stage = Stage::new();
    let mut random = Random::new(seed);
    let mut seeds = strikes::sampled(&strikes::all(), 60, &stage, &mut random);
    for scenario in SCENARIOS.iter().filter(|it| it.quick > 0 && (it.needs)(&stage).is_ok()) {
        seeds.extend((0..8).map(|number| format!("scene {} {number}", scenario.key)));
    }
    seeds.extend((0..60).map(|number| format!("tree {number}")));
    random.shuffle(&mut seeds);
    seeds
}
