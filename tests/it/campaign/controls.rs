//! The proof that the campaign could fail: binaries with a mistake on purpose, and the scenario that finds it out.

use std::path::Path;
use std::time::Duration;

use super::pool::{self, Limits};
use super::stage::Stage;
use super::table::Row;
use super::{run, strikes};
use crate::harness::binaries::variable;
use crate::harness::call::command;

/// Mistake, and trials of which one must find it.
const CONTROLS: [(&str, &str); 5] = [
    ("LeakedLock", "scene kill-both"),
    ("LateIntent", "kill-all"),
    ("GroupKill", "scene kill-shim"),
    ("EarlyReap", "strike Work -"),
    ("Replace", "scene two-enders"),
];

/// Each in a process of its own, because binaries are found once.
pub fn rows() -> Vec<Row> {
    CONTROLS.iter().map(|(name, _)| row(name)).collect()
}

pub fn row(name: &str) -> Row {
    let title = format!("control {name}");
    let Some(binaries) = variable("LATTICE_CONTROLS").filter(|path| Path::new(path).is_dir())
    else {
        return Row::skipped(title, "no binaries with the feature `controls`");
    };
    let own = std::env::current_exe().expect("the running test knows its path");
    let output = command(own)
        .args(["--ignored", "--exact", "campaign::run::the_campaign", "--nocapture"])
        .env("LATTICE_BIN_DIR", binaries)
        .env("LATTICE_CONTROL", name)
        .env("LATTICE_CAMPAIGN", format!("control {name}"))
        .output()
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut row = Row::new(title);
    row.trials = 1;
    match text.lines().find(|line| line.starts_with("VIOLATION")) {
        Some(found) => println!("{name} is found: {found}"),
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
pub fn provoke(name: &str) -> Row {
    let found = CONTROLS.iter().find(|(control, _)| *control == name);
    let (_, trials) = found.unwrap_or_else(|| panic!("no control {name}"));
    let limits = Limits { violations: 1, ..Limits::within(Duration::from_secs(120)) };
    let mut row = Row::new(name);
    if *trials == "kill-all" {
        let [.., all] = strikes::KILLS;
        return all.row(true, 1, limits);
    }
    let seeds = vec![(*trials).to_owned(); 10];
    pool::each(&mut row, &seeds, limits, Stage::new, run::trial);
    row
}
