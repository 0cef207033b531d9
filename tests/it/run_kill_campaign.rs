//! SIGKILL at the moments that no test can hit by hand: at system calls of the CLI's start and of the shim's end.
//!
//! Each trial lets one process die as it enters one system call, then makes at most one ordinary call, and
//! finds either a run that went on to its one end, or nothing at all. `LATTICE_TEST_CAMPAIGN=full` tries every
//! call that changes something; otherwise a sample, so that the suite stays short.

use std::time::Duration;

use serde_json::json;

use crate::harness::binaries::variable;
use crate::harness::process::Process;
use crate::harness::sandbox::Sandbox;
use crate::harness::strace::{self, Moment};
use crate::harness::waiting::{SOON, eventually, skipped};

/// What changes the world, or hands something over to another process.
const ACTS: [&str; 27] = [
    "openat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "fsync",
    "fdatasync",
    "flock",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "clone",
    "clone3",
    "vfork",
    "sendto",
    "recvfrom",
    "read",
    "exit_group",
    "kill",
    "wait4",
];
/// Trials of a sample.
const SAMPLE: usize = 40;

/// Evenly spread moments, the first and the last among them; all of them in a full campaign.
fn chosen(moments: Vec<Moment>) -> Vec<Moment> {
    let moments: Vec<_> =
        moments.into_iter().filter(|m| ACTS.contains(&m.syscall.as_str())).collect();
    assert!(moments.len() > SAMPLE, "the trace shows the work: {moments:?}");
    if variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full") {
        return moments;
    }
    let last = moments.len() - 1;
    (0..SAMPLE).map(|n| moments[n * last / (SAMPLE - 1)].clone()).collect()
}

/// After at most one ordinary call: every start has its end, and nothing is left.
#[track_caller]
fn assert_settled(sandbox: &Sandbox, moment: &Moment) {
    let settled = || {
        let runs = sandbox.runs_of(&sandbox.task);
        let open: Vec<_> = runs
            .iter()
            .filter(|(_, (starts, ends))| (starts.len(), ends.len()) != (1, 1))
            .collect();
        let left = sandbox.traces();
        if open.is_empty() && left.is_empty() {
            Ok(())
        } else {
            Err(format!("{moment:?}: {open:#?} {left:#?}"))
        }
    };
    // What the supervisors end by themselves takes a moment; only what they cannot know of needs a call.
    let by_themselves = (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        settled().is_ok()
    });
    if by_themselves {
        return;
    }
    age_unlocked(sandbox);
    sandbox.lattice(["worker", "reap"]).run().ok();
    eventually("everything has settled", SOON, settled);
}

/// A directory whose maker died before it made the lock file is garbage only after a minute: it is made old.
fn age_unlocked(sandbox: &Sandbox) {
    sandbox.sh("find .lattice/runs -maxdepth 1 -name '.new-*' -exec sh -c 'test -e $0/lock || touch -d -2min $0' {} \\;");
}

#[test]
fn the_cli_killed_at_any_moment_of_the_start() {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped("the_cli_killed_at_any_moment_of_the_start", "no strace");
    }
    sandbox.worker("Quick", json!({"command": "exit 3", "worktree": true}));
    let start = || sandbox.lattice(["worker", "run", "Quick", "LAT-1"]);
    let (finished, moments) = strace::moments(&sandbox, start());
    finished.ok();
    sandbox.assert_clean();
    let mut began = 0;
    for moment in chosen(moments) {
        let before = sandbox.runs_of(&sandbox.task).len();
        let killed = strace::killed_at(start(), &moment).run();
        assert!(killed.signal == Some(9) || killed.code == Some(0), "{moment:?}, {killed}");
        assert_settled(&sandbox, &moment);
        began += sandbox.runs_of(&sandbox.task).len() - before;
        let answered = killed.stdout.contains("started");
        assert!(
            !answered || sandbox.runs_of(&sandbox.task).len() == before + 1,
            "{moment:?}: what is told is true"
        );
    }
    assert!(began > 0, "some moments are late enough for a run to go on");
    for (_, ends) in sandbox.runs_of(&sandbox.task).into_values() {
        assert_eq!(
            ends[0]["data"]["exit_code"], 3,
            "a run that goes on is a whole run: {}",
            ends[0]
        );
    }
}

/// The system calls of a shim from the exit of its engine on.
fn moments_of_the_end(sandbox: &Sandbox) -> Vec<Moment> {
    sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let tracing = strace::attached(sandbox, &main.parent(), None);
    main.tell("exit 0");
    let moments = strace::traced(sandbox, tracing);
    sandbox.assert_clean();
    moments
}

/// One trial: the process dies at this moment of the end sequence.
fn killed_in_its_end(sandbox: &Sandbox, moment: &Moment, warden_too: bool) {
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    if warden_too {
        warden.kill();
        warden.wait_dead(SOON);
    }
    let tracing = strace::attached(sandbox, &shim, Some(moment));
    main.tell("exit 0");
    shim.wait_dead(SOON);
    drop(tracing.finish());
    if warden_too {
        sandbox.lattice(["worker", "reap"]).run().ok();
    }
    let end = run.ended();
    if end["data"]["ended_by"] == "shim" {
        assert_eq!(end["type"], "process_completed", "{moment:?}: {end}");
    }
    assert!(end["data"]["preserved_ref"].is_string(), "the work is saved, {moment:?}: {end}");
    assert_settled(sandbox, moment);
}

fn campaign_of_the_end(name: &str, warden_too: bool) {
    let sandbox = Sandbox::new();
    let steps = ["write=precious:work\n", "spawn-setsid=daemon", "connect=main", "wait"];
    sandbox.worker("Work", json!({"command": sandbox.fake(&steps), "worktree": true}));
    if !strace::available(&sandbox) {
        return skipped(name, "no strace");
    }
    for moment in chosen(moments_of_the_end(&sandbox)) {
        killed_in_its_end(&sandbox, &moment, warden_too);
        let daemons: Vec<_> = sandbox.socket.others();
        assert!(daemons.iter().all(|peer| Process::is_dead(peer)), "{moment:?}");
    }
    let runs = sandbox.assert_runs_ended();
    let refs = sandbox.git(["for-each-ref", "refs/lattice/runs"]);
    assert_eq!(refs.lines().count(), runs, "the work of every run is saved");
}

#[test]
fn the_shim_killed_at_any_moment_of_its_end() {
    campaign_of_the_end("the_shim_killed_at_any_moment_of_its_end", false);
}

#[test]
fn the_last_supervisor_killed_at_any_moment_of_its_end() {
    campaign_of_the_end("the_last_supervisor_killed_at_any_moment_of_its_end", true);
}
