//! Whether the main checkout had changes: git looks while the run goes on, is waited for by nobody but the record, and is
//! no process of the engine.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::socket::Peer;
use crate::harness::waiting::SOON;

const LESS_THAN_ITS_MINUTE: Duration = Duration::from_secs(40);

/// Git must look into the file `slow` of the main checkout, and asks the peer `status` before it knows what is in it.
fn sandbox(content: &str, steps: &[&str]) -> Sandbox {
    sandbox_with(content, steps, &json!({}))
}

fn sandbox_with(content: &str, steps: &[&str], limits: &Value) -> Sandbox {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true, "limits": limits}));
    sandbox.write("slow", "as it was\n");
    sandbox.commit("A file that is slow to look at");
    let steps: Vec<_> =
        steps.iter().copied().chain(["connect=status", "wait", "exec=cat"]).collect();
    // Once: what git thinks of the same file in the worktree at the end is not held up.
    let flag = sandbox.base.join("asked").display().to_string();
    let filter =
        format!("mkdir {flag} 2>/dev/null && exec {}; exec cat", sandbox.fake_line(&steps));
    sandbox.git(["config", "filter.slow.clean", &filter]);
    sandbox.write(".git/info/attributes", "slow filter=slow\n");
    sandbox.write("slow", content);
    sandbox
}

/// The engine runs although git has not answered.
fn begin(sandbox: &Sandbox) -> (Run<'_>, Peer, Peer) {
    let run = sandbox.start("Work");
    let (engine, status) = (sandbox.socket.peer("main"), sandbox.socket.peer("status"));
    (run, engine, status)
}

#[track_caller]
fn assert_end(sandbox: &Sandbox, end: &Value, reason: &str, dirty: &Value) {
    let data = &end["data"];
    assert_eq!((&data["reason"], &data["dirty"]), (&json!(reason), dirty), "{end}");
    assert_eq!(data["swept"], 0, "git is nothing that the engine has left: {end}");
    sandbox.sh("git config --unset filter.slow.clean && git checkout -q slow");
    sandbox.assert_clean();
}

#[test]
fn an_engine_that_is_shorter_is_told_all_the_same() {
    for (content, dirty) in [("As it was\n", true), ("as it was\n", false)] {
        let sandbox = sandbox(content, &[]);
        let (run, engine, status) = begin(&sandbox);
        engine.tell("exit 0");
        engine.wait_dead(SOON);
        assert!(run.terminal().is_none());
        status.tell("go");
        assert_end(&sandbox, &run.ended(), "exited", &json!(dirty));
    }
}

#[test]
fn an_engine_that_is_longer_has_no_git_beside_it_when_that_has_answered() {
    let sandbox = sandbox("As it was\n", &[]);
    let (run, engine, status) = begin(&sandbox);
    let git = status.ancestor("--porcelain");
    status.tell("go");
    git.wait_dead(SOON);
    engine.tell("exit 0");
    assert_end(&sandbox, &run.ended(), "exited", &json!(true));
}

#[test]
fn what_git_cannot_say_is_not_known() {
    let sandbox = sandbox("As it was\n", &[]);
    let (run, engine, status) = begin(&sandbox);
    status.ancestor("--porcelain").kill();
    status.wait_dead(SOON);
    engine.tell("exit 0");
    assert_end(&sandbox, &run.ended(), "exited", &Value::Null);
}

#[test]
fn s11_a_stop_does_not_wait_for_it() {
    for is_over in [false, true] {
        let sandbox = sandbox("As it was\n", &[]);
        let (run, engine, status) = begin(&sandbox);
        if is_over {
            engine.tell("exit 0");
            engine.wait_dead(SOON);
        }
        sandbox.lattice(["worker", "stop", "--all"]).run();
        let end = run.ended_within(LESS_THAN_ITS_MINUTE);
        assert!(status.is_dead());
        let reason = if is_over { "exited" } else { "stopped" };
        assert_end(&sandbox, &end, reason, &Value::Null);
    }
}

#[test]
fn m1_it_ends_with_a_shim_that_is_killed() {
    for is_over in [false, true] {
        let sandbox = sandbox("As it was\n", &[]);
        let (run, engine, status) = begin(&sandbox);
        let (shim, _) = run.supervisors(&engine);
        if is_over {
            engine.tell("exit 0");
            engine.wait_dead(SOON);
        }
        shim.kill();
        let end = run.ended();
        assert!(status.is_dead());
        assert_eq!(end["data"]["ended_by"], "warden", "{end}");
        let reason = if is_over { "exited" } else { "supervisor_killed" };
        assert_end(&sandbox, &end, reason, &Value::Null);
    }
}

#[test]
fn what_it_uses_is_not_what_the_engine_has_used() {
    let sandbox = sandbox("As it was\n", &["allocate=200", "burn=500"]);
    let (run, engine, status) = begin(&sandbox);
    let git = status.ancestor("--porcelain");
    status.tell("go");
    git.wait_dead(SOON);
    engine.tell("exit 0");
    let end = run.ended();
    assert!(end["data"]["cpu_seconds"].as_f64().unwrap() < 0.4, "{end}");
    // The kernel tells only the largest of those who were reaped. The engine may be first.
    assert!(end["data"]["max_rss_kb"].as_u64().is_none_or(|known| known < 100_000), "{end}");
    assert_end(&sandbox, &end, "exited", &json!(true));
}

#[test]
fn it_does_not_spend_what_the_definition_allows() {
    let limits = json!({"cpu_minutes": 0.01, "memory_mb": 100, "processes": 1});
    let sandbox = sandbox_with("As it was\n", &["allocate=200", "burn=900"], &limits);
    let (run, engine, status) = begin(&sandbox);
    let git = status.ancestor("--porcelain");
    status.tell("go");
    git.wait_dead(SOON);
    engine.tell("exit 0");
    assert_end(&sandbox, &run.ended(), "exited", &json!(true));
}
