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
    // One has a session of its own, one has lost its parent, and one has both.
    let apart = sandbox.fake_line(&["spawn-setsid=apart", "connect=hook", "wait"]);
    let orphans = format!("({} &); (setsid {} &)", fake("orphan"), fake("daemon"));
    let hook = format!("{} & ({}; true) & {orphans}; {apart}", fake("job"), fake("inner"));
    sandbox.configure("hooks", json!({ "post_event": hook }));
    let running = comment(&sandbox).start();
    let peers = ["job", "inner", "orphan", "daemon", "apart", "hook"];
    let peers = peers.map(|name| sandbox.socket.peer(name));
    let finished = running.finish().ok();
    assert!(finished.stderr.starts_with("lattice: hook timed out after 10s: "), "{finished}");
    assert!(finished.elapsed >= Duration::from_secs(10), "{finished}");
    peers.iter().for_each(|peer| peer.wait_dead(SOON));
    assert_eq!(sandbox.events().len(), 2);
}

#[test]
fn a_run_that_a_late_hook_has_started_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let late = sandbox.fake_line(&["spawn-setsid=apart", "connect=hook", "wait"]);
    let hook = format!("lattice worker run Work $LATTICE_TASK_ID; {late}");
    sandbox.configure("hooks", json!({"on": {"comment_added": hook}}));
    let running = comment(&sandbox).start();
    let main = sandbox.socket.peer("main");
    let late = ["apart", "hook"].map(|name| sandbox.socket.peer(name));
    let finished = running.finish().ok();
    assert!(finished.stderr.starts_with("lattice: hook timed out after 10s: "), "{finished}");
    late.iter().for_each(|peer| peer.wait_dead(SOON));
    assert!(!main.is_dead());
    main.tell("exit 0");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}

/// A later hook that is ended takes nothing of an earlier one with it.
#[test]
fn a_job_of_a_hook_that_ended_in_time_outlives_a_late_one() {
    let sandbox = Sandbox::without_git();
    let job = sandbox.fake_line(&["connect=job", "spawn-setsid=apart", "wait"]);
    let late = sandbox.fake_line(&["connect=late", "wait"]);
    sandbox.configure(
        "hooks",
        json!({"post_event": format!("{job} &"), "on": {"comment_added": late}}),
    );
    let running = comment(&sandbox).start();
    let jobs = ["job", "apart"].map(|name| sandbox.socket.peer(name));
    let late = sandbox.socket.peer("late");
    running.finish().ok();
    late.wait_dead(SOON);
    for job in jobs {
        assert!(!job.is_dead());
        job.kill();
    }
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
