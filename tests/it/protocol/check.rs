//! What the search must find, and what it must not.

use fs_err as fs;

use super::processes::Scope;
use super::search::search;
use super::state::{MISTAKES, Mistake};
use crate::harness::binaries::workspace;

const WHOLE: Scope =
    Scope { mistake: None, reaper_kills: 2, lock_may_fail: true, disk_may_fill: true };

/// Enough for most mistakes.
const NARROW: Scope =
    Scope { mistake: None, reaper_kills: 0, lock_may_fail: false, disk_may_fill: true };

#[test]
fn every_order_of_steps_kills_and_full_disks_ends_in_one_record() {
    let found = search(WHOLE);
    println!("{} states", found.states);
    assert!(found.violation.is_none(), "{}", found.violation.unwrap_or_default());
    assert!(found.states > 50_000, "the model has shrunk to {} states", found.states);
}

#[test]
fn every_mistake_is_found() {
    for (mistake, expected) in MISTAKES {
        let two_enders = matches!(mistake, Mistake::Replace | Mistake::OwnWord);
        let scope = Scope { lock_may_fail: two_enders, ..NARROW };
        let broken = search(Scope { mistake: Some(mistake), ..scope });
        let way = broken.violation.unwrap_or_else(|| panic!("{mistake:?} is not found"));
        println!("{mistake:?} after {} states: {way}\n", broken.states);
        assert!(way.starts_with(expected), "{mistake:?}: {way}");
    }
}

/// The steps of the model are steps of the code as long as the code has functions of their names.
#[test]
fn the_functions_that_the_model_speaks_of_are_there() {
    let by = search(NARROW).by;
    assert!(by.len() > 30, "{by:?}");
    for name in by {
        let (path, function) = name.split_once("::").expect("a step is named path::function");
        let source = fs::read_to_string(workspace().join(path)).unwrap();
        let is_there = source.contains(&format!("fn {function}("))
            || source.contains(&format!("fn {function}<"));
        assert!(is_there, "{path} has no function `{function}`: is the model still true?");
    }
}
