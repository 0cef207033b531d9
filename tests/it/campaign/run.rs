//! The whole campaign, as `scripts/campaign` starts it.

use std::time::{Duration, Instant};

use super::pool::{self, Limits, Tried};
use super::stage::Stage;
use super::table::{self, Row};
use super::{controls, cover, power, scenarios, soak, strikes, trees};
use crate::harness::binaries::variable;

const PARTS: &str = "strikes scenes trees power soak tests controls";

fn text(name: &str) -> Option<String> {
    variable(name).map(|value| value.into_string().expect("a setting is UTF-8"))
}

#[test]
#[ignore = "scripts/campaign starts it"]
fn the_campaign() {
    pool::catch_words();
    let seed = text("LATTICE_CAMPAIGN_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mode = text("LATTICE_CAMPAIGN").unwrap_or_else(|| "quick".to_owned());
    let rows = match mode.split_once(' ') {
        Some(("replay", seed)) => vec![replay(seed)],
        Some(("control", name)) => vec![controls::provoke(name, seed)],
        Some((mode, parts)) => whole(mode == "full", seed, parts),
        None => whole(mode == "full", seed, PARTS),
    };
    let is_full = mode.starts_with("full");
    table::print(&rows, if is_full { "replay full" } else { "replay" });
    if let Some(path) = variable("LATTICE_CAMPAIGN_REPORT") {
        let lines: String = rows.iter().map(|row| row.line() + "\n").collect();
        fs_err::write(path, lines).expect("the report can be written");
    }
    let failures = rows.iter().flat_map(|row| &row.failures).count();
    assert!(failures == 0, "{failures} violations");
}

/// One trial, whatever its kind.
pub fn trial(stage: &Stage, seed: &str) -> Tried {
    match seed.split(' ').next() {
        Some("strike") => strikes::trial(stage, seed),
        Some("list") => strikes::listed(stage, seed),
        Some("scene") => scenarios::trial(stage, seed).into(),
        Some("tree") => trees::trial(stage, seed).into(),
        _ => panic!("no seed of one trial: {seed}"),
    }
}

fn replay(seed: &str) -> Row {
    let mut row = Row::new(seed);
    let limits = Limits::within(Duration::from_mins(10));
    match seed.split_once(' ') {
        Some(("power", _)) => return power::again(seed),
        Some(("soak", number)) => {
            let size = soak::Size { tasks: 500, time: Duration::from_mins(10) };
            return soak::row(size, number.parse().expect("a number"));
        }
        Some(("control", name)) => return controls::row(name),
        Some(("test", name)) => return cover::covered(name, &[name]),
        _ => {}
    }
    pool::each(&mut row, &[seed.to_owned()], limits, Stage::new, trial);
    row
}

/// Each part has a time limit of its own, so that the whole has one; what is not tried in it is not counted.
fn whole(is_full: bool, seed: u64, parts: &str) -> Vec<Row> {
    let begin = Instant::now();
    let mut rows = Vec::new();
    let mut add = |row: Row| {
        println!("{:6.1} s {}", begin.elapsed().as_secs_f64(), row.line());
        rows.push(row);
    };
    let within = |quick: u64, full: u64| {
        Limits::within(Duration::from_secs(if is_full { full } else { quick }))
    };
    let size = |quick: usize, full: usize| if is_full { full } else { quick };
    for part in parts.split(' ') {
        match part {
            "strikes" => {
                let minutes = text("LATTICE_CAMPAIGN_MINUTES");
                let minutes = minutes.map_or(50, |text| text.parse().expect("a number"));
                let rows = strikes::rows(&strikes::all(), is_full, seed, within(96, 60 * minutes));
                rows.into_iter().for_each(&mut add);
            }
            "scenes" => {
                for scenario in scenarios::SCENARIOS {
                    add(scene(&scenario, is_full, within(8, 120)));
                }
            }
            "trees" => {
                let name = "random trees of processes";
                add(some(name, "tree", size(10, 150), within(10, 240)));
            }
            "power" => add(power::row(size(6, 120), seed, within(15, 300))),
            "soak" => {
                let time = Duration::from_secs(if is_full { 600 } else { 10 });
                add(soak::row(soak::Size { tasks: size(20, 500), time }, seed));
            }
            "tests" if is_full => cover::rows().into_iter().for_each(&mut add),
            // `scripts/check` has run them.
            "tests" => {}
            "controls" => controls::rows(is_full).into_iter().for_each(&mut add),
            _ => panic!("there is no part `{part}`: {PARTS}"),
        }
    }
    rows
}

fn scene(scenario: &scenarios::Scenario, is_full: bool, limits: Limits) -> Row {
    let count = if is_full { scenario.full } else { scenario.quick };
    if count == 0 {
        return Row::skipped(scenario.name, "takes longer than a minute: only in a full campaign");
    }
    match (scenario.needs)(&Stage::new()) {
        Ok(()) => some(scenario.name, &format!("scene {}", scenario.key), count, limits),
        Err(why) => Row::skipped(scenario.name, why),
    }
}

fn some(name: &str, kind: &str, count: usize, limits: Limits) -> Row {
    let mut row = Row::new(name);
    let seeds: Vec<_> = (0..count).map(|number| format!("{kind} {number}")).collect();
    pool::each(&mut row, &seeds, limits, Stage::new, trial);
    row
}
