//! The campaign's short forms, in the ordinary tests.

use std::time::Duration;

use super::soak::{Size, soak};
use super::stage::{Stage, traces};
use super::{scenarios, strikes, trees};
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
        "Work gate:fcntl:1:EMFILE",
        "Work shim:fsync:1:EIO",
        "Work shim:write:9:short",
        "Work shim:link:1:kill-all",
        "NoWarden shim:rename:2:kill",
        "Lost finish:flock:1:kill",
    ];
    for strike in chosen {
        strikes::trial(&stage, &format!("strike {strike}"));
    }
}

#[test]
fn a_second_ender_beside_the_first() {
    let stage = Stage::new();
    if let Err(why) = traces(&stage.sandbox) {
        return skipped("a_second_ender_beside_the_first", &why);
    }
    scenarios::trial(&stage, "scene two-enders 0");
    scenarios::trial(&stage, "scene second-ender 0");
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
