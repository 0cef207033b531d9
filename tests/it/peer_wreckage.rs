//! What our `doctor --fix` has repaired is whole for the Python tool too: it finds nothing, writes on, and its replay
//! of the logs is the state that we left.

use serde_json::{Value, json};

use crate::harness::peer::Peer;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::skipped;
use crate::tracker_doctor::{CASES, Case};

#[test]
fn what_was_repaired_here_is_whole_for_the_python_tool() {
    let any = Sandbox::empty();
    let mut peer = match Peer::new(&any, None) {
        Ok(peer) => peer,
        Err(reason) => {
            return skipped("what_was_repaired_here_is_whole_for_the_python_tool", &reason);
        }
    };
    for case in CASES.iter().filter(|case| case.stays.is_empty()) {
        check(case, &mut peer);
    }
}

#[track_caller]
fn check(case: &Case, peer: &mut Peer) {
    let sandbox = case.set_up();
    sandbox.lattice(["doctor", "--fix"]).run().ok();
    let states =
        || sandbox.sh("cd .lattice && cat tasks/* archive/tasks/* 2>/dev/null; true").stdout;
    let before = states();
    peer.call(&sandbox.project, &["rebuild", "--all", "--json"]).ok();
    assert_eq!(states(), before, "{}", case.name);
    let told = peer.call(&sandbox.project, &["doctor", "--json"]).ok();
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["data"]["findings"], json!([]), "{}", case.name);
    let words = if case.archived { "unarchive LAT-1" } else { "comment LAT-1 More" };
    let words: Vec<&str> = words.split(' ').chain(["--actor", ACTOR]).collect();
    peer.call(&sandbox.project, &words).ok();
    let found = sandbox.lattice(["doctor", "--json"]).run().ok().data();
    assert_eq!(found["findings"], json!([]), "{}", case.name);
}
