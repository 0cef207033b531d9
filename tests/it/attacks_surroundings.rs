//! Attacks from what surrounds a run, each test named by its row: other users' programs, CI runners, sessions.

use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::json;

use crate::attacks_processes::{assert_lost, reap};
use crate::harness::binaries;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, skipped};

/// An engine that becomes another user's program: the kernel forgets to end it with its parent (prctl(2)).
#[test]
fn m4_an_engine_that_becomes_another_user_is_ended_all_the_same() {
    let name = "m4_an_engine_that_becomes_another_user_is_ended_all_the_same";
    if !rustix::process::geteuid().is_root() {
        return skipped(name, "only root can give a program to another user");
    }
    let sandbox = Sandbox::new();
    let open = |path: &std::path::Path, mode| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let program = sandbox.base.join("engine");
    sandbox.program(["cp", &binaries::fake_engine(), program.to_str().unwrap()]).run().ok();
    sandbox.program(["chown", "65534", program.to_str().unwrap()]).run().ok();
    open(&program, 0o4755);
    open(&sandbox.base, 0o755);
    open(sandbox.socket.path(), 0o777);
    let nobody = ["setpriv", "--reuid=65534", "--clear-groups", "test", "-w"];
    let reaches = sandbox.program(nobody).arg(sandbox.socket.path()).run();
    if reaches.code != Some(0) {
        return skipped(name, "another user cannot reach the directory of the tests");
    }
    let mut argv = sandbox.fake_argv(&["connect=main", "wait"]);
    argv[0] = program.display().to_string();
    sandbox.worker("Work", json!({"command": argv, "worktree": true}));
    for both in [false, true] {
        let run = sandbox.start("Work");
        let main = sandbox.socket.peer("main");
        let (shim, warden) = run.supervisors(&main);
        for process in [&warden, &shim] {
            process.signal(Signal::STOP);
        }
        shim.kill();
        shim.wait_dead(SOON);
        assert!(!main.is_dead(), "the kernel leaves it alone: this is the attack");
        if both {
            warden.kill();
            warden.wait_dead(SOON);
            reap(&sandbox);
            assert_lost(&run);
        } else {
            warden.signal(Signal::CONT);
            let end = run.ended();
            let facts = (&end["data"]["ended_by"], &end["data"]["containment"]);
            assert_eq!(facts, (&json!("warden"), &json!("leader_unbound")), "{end}");
        }
        assert!(main.is_dead(), "dead before the end is told");
        sandbox.assert_clean();
    }
    let run = sandbox.start("Work");
    sandbox.socket.peer("main").tell("exit 0");
    assert_eq!(run.ended()["data"]["containment"], "leader_unbound");
    sandbox.assert_clean();
}

/// By these a CI runner finds what a job has left behind, and ends it.
#[test]
fn m12_the_cleaner_of_a_ci_job_finds_no_supervisor() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let marks = ["RUNNER_TRACKING_ID", "JENKINS_NODE_COOKIE", "JENKINS_SERVER_COOKIE"];
    let call = sandbox.lattice(["worker", "run", "Work", "LAT-1", "--json"]);
    let call = marks.iter().fold(call, |call, name| call.env(name, "of-a-job"));
    let run = sandbox.run_of(&call.env("BUILD_ID", "17").run().ok().data());
    let main = sandbox.socket.peer("main");
    let (shim, warden) = run.supervisors(&main);
    for process in [&*main, &shim, &warden] {
        let environment = fs::read_to_string(format!("/proc/{}/environ", process.pid)).unwrap();
        assert!(!environment.contains("of-a-job"), "{environment}");
        assert!(environment.contains("BUILD_ID=17"), "scripts use it");
    }
    main.tell("exit 0");
    run.ended();
    sandbox.assert_clean();
}

/// A run has left its mark with a tmux that is somebody else's, which hands it on to all that it starts.
#[test]
fn m13_what_a_session_has_started_is_named_and_not_ended() {
    let name = "m13_what_a_session_has_started_is_named_and_not_ended";
    let sandbox = Sandbox::new();
    let socket = sandbox.base.join("tmux").display().to_string();
    let tmux = |words: &[&str]| {
        let argv =
            ["tmux", "-f", "/dev/null", "-S", &socket].into_iter().chain(words.iter().copied());
        sandbox.program(argv.map(str::to_owned).collect::<Vec<_>>())
    };
    if sandbox.program(["sh", "-c", "command -v tmux"]).run().code != Some(0) {
        return skipped(name, "no tmux");
    }
    tmux(&["new-session", "-d", &sandbox.fake_line(&["connect=session", "wait"])]).run().ok();
    let session = sandbox.socket.peer("session");
    let mark = "LATTICE_STARTED_EVENT_ID";
    let export = format!(
        "tmux -S {socket} setenv -g {mark} ${mark} && tmux -S {socket} setenv {mark} ${mark}"
    );
    let main = sandbox.fake_line(&["connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": format!("{export} && exec {main}")}));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    tmux(&["new-window", "-d", &sandbox.fake_line(&["connect=pane", "wait"])]).run().ok();
    let pane = sandbox.socket.peer("pane");
    let environment = fs::read_to_string(format!("/proc/{}/environ", pane.pid)).unwrap();
    assert!(environment.contains(&format!("{mark}={}", run.id)), "{environment}");
    run.lose_supervisors(&main);
    reap(&sandbox);
    let end = assert_lost(&run);
    assert!(!pane.is_dead() && !session.is_dead());
    assert_eq!(end["data"]["survivors"], json!([pane.pid]), "{end}");
    tmux(&["kill-server"]).run().ok();
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}
