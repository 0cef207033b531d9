//! Hooks that take too long, and hooks that leave something behind.

use std::time::Duration;

use serde_json::json;

use crate::harness::call::Call;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::SOON;

fn comment(sandbox: &Sandbox) -> Call {
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", ACTOR])
}

#[test]
fn a_hook_ends_after_ten_seconds_with_all_that_it_runs() {
    let sandbox = Sandbox::without_git();
    let fake = |name: &str| sandbox.fake_line(&[&format!("connect={name}"), "wait"]);
    let hook = format!("{} & ({}; true) & {}", fake("job"), fake("inner"), fake("hook"));
    sandbox.configure("hooks", json!({ "post_event": hook }));
    let running = comment(&sandbox).start();
    let peers = ["job", "inner", "hook"].map(|name| sandbox.socket.peer(name));
    let finished = running.finish().ok();
    assert!(finished.stderr.starts_with("lattice: hook timed out after 10s: "), "{finished}");
    assert!(finished.elapsed >= Duration::from_secs(10), "{finished}");
    peers.iter().for_each(|peer| peer.wait_dead(SOON));
    assert_eq!(sandbox.events().len(), 2);
}

#[test]
fn a_hook_that_leaves_a_job_behind_costs_nothing() {
    let sandbox = Sandbox::without_git();
    // The job still has the hook's output.
    let hook = format!("{} &", sandbox.fake_line(&["connect=job", "wait"]));
    sandbox.configure("hooks", json!({ "post_event": hook }));
    let finished = comment(&sandbox).run().ok().silent();
    let job = sandbox.socket.peer("job");
    assert!(finished.elapsed < Duration::from_secs(10), "{finished}");
    assert!(!job.is_dead());
    job.tell("go");
    job.wait_dead(SOON);
}
