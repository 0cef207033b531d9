//! Calls from inside an agent's sandbox, where nothing that is started lives on: refused with the remedy, and nothing
//! is recorded. And from a container, which is none.

use serde_json::{Value, json};

use crate::harness::call::Call;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

/// A private namespace of processes and of mounts, as bubblewrap makes it for a tool's call; gone with its first
/// process.
const UNSHARE: [&str; 7] = ["unshare", "-Urmpf", "--mount-proc", "--kill-child", "bash", "-c", ""];

fn inside(sandbox: &Sandbox, script: &str) -> Call {
    let mut argv = UNSHARE.map(str::to_owned);
    *argv.last_mut().expect("it is not empty") = script.to_owned();
    sandbox.program(argv)
}

/// The reason why there is no such namespace here.
fn refused_by_kernel(sandbox: &Sandbox) -> Option<String> {
    let probe = inside(sandbox, "mount --bind . .").run();
    (probe.code != Some(0)).then(|| format!("unshare -Urmpf: {}", probe.stderr.trim()))
}

const READ_ONLY_GIT: &str = "mount --bind .git .git && mount -o remount,bind,ro .git";

/// Refused for this reason, with a remedy, before anything was made.
#[track_caller]
fn assert_sandboxed(sandbox: &Sandbox, call: Call, why: &str) {
    let (events, before) = (sandbox.events(), sandbox.tree());
    let error: Value = call.run().refused(1, "SANDBOXED");
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    assert!(text("message").contains(why), "{error}");
    assert!(text("hint").contains("hook") && text("hint").contains("outside"), "{error}");
    assert_eq!(sandbox.events(), events);
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
}

fn with_worker(worktree: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "true", "worktree": worktree}));
    sandbox
}

const RUN: &str = "lattice worker run Work LAT-1 --json";

#[test]
fn codex_says_so_itself() {
    for (name, value) in [("CODEX_SANDBOX", "seatbelt"), ("CODEX_SANDBOX_NETWORK_DISABLED", "1")] {
        for worktree in [true, false] {
            let sandbox = with_worker(worktree);
            let call = sandbox.program(["bash", "-c", RUN]).env(name, value);
            assert_sandboxed(&sandbox, call, name);
        }
    }
}

/// What codex's sandbox is on Linux, for a caller whose environment says nothing of it.
#[test]
fn a_private_namespace_with_a_read_only_git_directory() {
    let sandbox = with_worker(true);
    if let Some(reason) = refused_by_kernel(&sandbox) {
        return skipped("a_private_namespace_with_a_read_only_git_directory", &reason);
    }
    let call = inside(&sandbox, &format!("{READ_ONLY_GIT} && {RUN}"));
    assert_sandboxed(&sandbox, call, ".git cannot be written to");
}

/// Where no git is needed, only the first process gives it away.
#[test]
fn a_private_namespace_of_bubblewrap() {
    let sandbox = with_worker(false);
    if let Some(reason) = refused_by_kernel(&sandbox) {
        return skipped("a_private_namespace_of_bubblewrap", &reason);
    }
    for name in ["bwrap", "codex-linux-sandbox"] {
        let path = sandbox.base.join(name);
        fs_err::write(&path, "#!/bin/sh\n\"$@\"\nexit $?\n").unwrap();
        sandbox.sh(&format!("chmod +x {}", path.display()));
        let call = inside(&sandbox, &format!("exec {} bash -c '{RUN}'", path.display()));
        assert_sandboxed(&sandbox, call, "process 1 here is");
    }
}

/// And so is a second start of what has been run before.
#[test]
fn a_rerun_is_refused_too() {
    let sandbox = with_worker(true);
    let run = sandbox.start("Work");
    run.ended();
    sandbox.assert_clean();
    let call = sandbox.lattice(["worker", "rerun", &run.id, "--json"]);
    assert_sandboxed(&sandbox, call.env("CODEX_SANDBOX", "seatbelt"), "CODEX_SANDBOX");
}

/// A dead run is left to somebody whose helpers live on.
#[test]
fn not_even_a_dead_run_is_ended_from_there() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    run.lose_supervisors(&main);
    let before = sandbox.events();
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    call.env("CODEX_SANDBOX", "seatbelt").run().refused(1, "SANDBOXED");
    assert_eq!(sandbox.events(), before);
    sandbox.lattice(["worker", "reap"]).run().ok();
    assert_eq!(run.ended()["data"]["reason"], "supervisor_lost");
    sandbox.assert_clean();
}

/// An ordinary container has processes of its own too, and everything in it works as long as it does.
#[test]
fn a_container_is_no_sandbox() {
    let sandbox = with_worker(true);
    if let Some(reason) = refused_by_kernel(&sandbox) {
        return skipped("a_container_is_no_sandbox", &reason);
    }
    let finished = inside(&sandbox, &format!("{RUN} --wait")).run().ok();
    assert_eq!(finished.data()["outcome"]["type"], "process_completed");
    sandbox.lattice(["worker", "reap"]).run().ok();
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}
