//! The campaign's short forms, in the ordinary tests.

use std::collections::BTreeSet;
use std::time::Duration;

use super::soak::{Size, soak};
use super::stage::{Stage, WAITED, traces};
use super::{controls, cover, moments, power, scenarios, strikes, trees};
use crate::harness::binaries;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

#[test]
fn a_short_soak() {
    let (runs, killed) = soak(Size { tasks: 20, time: Duration::from_secs(8) }, 1);
    println!("{runs} runs, {killed} kills");
    assert!(runs >= 10 && killed >= 5, "{runs} runs, {killed} kills");
}

#[test]
fn random_trees() {
    let stage = Stage::new();
    for number in 0..6 {
        trees::trial(&stage, &format!("tree {number}"));
    }
}

/// One of each kind; the campaign tries them at every call.
#[test]
fn strikes_at_chosen_calls() {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return skipped("strikes_at_chosen_calls", &why);
    }
    let chosen = [
        "Work -",
        "Work gate:recvfrom:1:EINTR",
        "Work gate:dupfd:1:EMFILE",
        "Work shim:fsync:1:EIO",
        "Work shim:write:9:short",
        "Work shim:pread64:3:short",
        "Work cli:sendmsg:1:ENOMEM",
        "Work shim:link:1:kill-all",
        "NoWarden shim:rename:2:kill",
        "Waited stage0:execve:1:kill",
        "Waited stage0':close:1:kill",
        "Lost finish:flock:1:kill",
        "Long shim-waits:recvmsg:2:ENOMEM",
        "Long warden-waits:recvmsg:1:ENOMEM",
    ];
    for strike in chosen {
        strikes::trial(&stage, &format!("strike {strike}"));
    }
}

#[test]
fn a_caller_that_is_given_no_thread_waits_without_one() {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return skipped("a_caller_that_is_given_no_thread_waits_without_one", &why);
    }
    let calls = moments::of(&stage, WAITED);
    let clones = calls.iter().filter(|call| call.role == "cli" && call.name.starts_with("clone"));
    let last = clones.max_by_key(|call| call.ordinal).expect("it starts programs, then a thread");
    let strike = format!("cli:{}:{}:EAGAIN", last.name, last.ordinal);
    let tried = strikes::trial(&stage, &format!("strike {WAITED} {strike}"));
    assert!(!tried.missed, "{strike} never came");
}

#[test]
fn a_second_ender_beside_the_first() {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return skipped("a_second_ender_beside_the_first", &why);
    }
    scenarios::trial(&stage, "scene two-enders 0");
    scenarios::trial(&stage, "scene two-savers 0");
    scenarios::trial(&stage, "scene two-savers 1");
    scenarios::trial(&stage, "scene second-ender 0");
}

#[test]
fn kills_between_the_steps_of_an_end() {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return skipped("kills_between_the_steps_of_an_end", &why);
    }
    scenarios::trial(&stage, "scene unpublished 0");
    scenarios::trial(&stage, "scene trash 0");
}

/// `supervision.md` has thirty; a row of the table begins with the numbers of those that it is.
#[test]
fn every_scenario_has_a_row() {
    let strikes = strikes::all();
    let mut names: Vec<String> = strikes.iter().map(strikes::Series::title).collect();
    names.extend(scenarios::SCENARIOS.map(|it| it.name.to_owned()));
    names.extend(cover::COVERED.map(|(name, _)| name.to_owned()));
    names.extend(cover::SKIPPED.map(|(name, _)| name.to_owned()));
    names.push(power::NAME.to_owned());
    names.push(controls::row("").name);
    names.push(Size { tasks: 1, time: Duration::ZERO }.title());
    let numbers: BTreeSet<u32> = names
        .iter()
        .flat_map(|name| name.split(' ').map_while(|word| word.parse().ok()).collect::<Vec<_>>())
        .collect();
    assert!(numbers.iter().copied().eq(1..=30), "{numbers:?}");
}

/// Nobody is given binaries that make mistakes on purpose.
#[test]
fn the_binaries_know_no_controls() {
    let sandbox = Sandbox::empty();
    for name in ["lattice", "lattice-shim"] {
        let binary = binaries::fake(name);
        let found = sandbox.program(["grep", "-c", "LATTICE_CONTROL", &binary]).run();
        assert_eq!((found.code, found.stdout.trim()), (Some(1), "0"), "{name}");
    }
}
