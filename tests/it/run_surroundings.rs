//! What surrounds a run and could be mistaken for it or pull it down: limits, orphans, copies, service managers.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::process::stat_field;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

#[test]
fn a_file_size_limit_of_the_caller_cuts_the_log_and_not_the_run() {
    let sandbox = Sandbox::new();
    sandbox.worker("Work", json!({"command": "head -c 1000000 /dev/zero; exit 5"}));
    let script = "ulimit -f 200; exec lattice worker run Work LAT-1 --json";
    let answer = sandbox.program(["bash", "-c", script]).run().ok().data();
    let end = sandbox.run_of(&answer).ended();
    assert_eq!(
        (&end["data"]["exit_code"], &end["data"]["ended_by"]),
        (&json!(5), &json!("shim")),
        "{end}"
    );
    sandbox.assert_clean();
}

#[test]
fn orphans_of_the_engine_are_reaped_while_it_works() {
    let sandbox = Sandbox::new();
    let fake = sandbox.fake_line(&["connect=main", "wait"]);
    let script = format!("for i in $(seq 40); do (sleep 0.01 &); done; exec {fake}");
    sandbox.worker("Work", json!({ "command": script }));
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    eventually("only the engine is the shim's child", SOON, || {
        let path = format!("/proc/{0}/task/{0}/children", shim.pid);
        let children = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
        let states: Vec<_> = children
            .split_whitespace()
            .map(|pid| (pid, stat_field(pid.parse().expect("a pid"), 3)))
            .collect();
        if states.len() == 1 { Ok(()) } else { Err(format!("{states:?}")) }
    });
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn a_copy_of_the_project_leaves_the_originals_run_alone() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Work",
        json!({"command": sandbox.fake(&["connect=main", "wait"]), "worktree": true}),
    );
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let copy = sandbox.base.join("copy");
    sandbox.program(["cp", "-a", ".", copy.to_str().expect("UTF-8")]).run().ok();
    let in_copy = |words: &str| {
        let script = format!("cd {} && lattice {words}", copy.display());
        sandbox.program(["bash", "-c", &script]).run()
    };
    in_copy("list").ok();
    in_copy("worker reap --json").ok();
    assert!(!main.is_dead() && run.terminal().is_none());
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
    sandbox.assert_clean();
}

#[test]
fn a_service_manager_that_tells_both_supervisors_leaves_the_engine_its_grace() {
    let sandbox = Sandbox::new();
    let fake = sandbox.fake_line(&["connect=child", "wait"]);
    let script = format!("trap 'sleep 0.7; exit 7' TERM; {fake} & wait; wait");
    sandbox.worker("Work", json!({"command": script, "grace_seconds": 20}));
    let run = sandbox.start("Work");
    let child = sandbox.socket.peer("child");
    let (shim, warden) = run.supervisors(&child.parent());
    // Two signals, of which the warden passes its own on; they must not count as "a second one: at once".
    warden.signal(Signal::HUP);
    shim.signal(Signal::TERM);
    let end = run.ended();
    assert_eq!(
        (&end["data"]["reason"], &end["data"]["exit_code"]),
        (&json!("stopped"), &json!(7)),
        "{end}"
    );
    assert!(
        ["SIGTERM", "SIGHUP"].map(|name| json!(name)).contains(&end["data"]["ended_by_signal"])
    );
    sandbox.assert_clean();
}
