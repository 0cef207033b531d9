//! What engines print: much, broken, cut; and the memory of both sides.

use fs_err as fs;
use serde_json::json;

use crate::engines_each::anonymous_kb;
use crate::harness::cgroup::Group;
use crate::harness::engines::stream;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

/// One line of 64 MB is nobody's record, and the next one is.
#[test]
fn a_line_without_an_end() {
    let sandbox = Sandbox::new();
    let path = sandbox.base.join("line");
    fs::write(&path, "y".repeat(1 << 20)).unwrap();
    let steps = [
        "connect=before",
        "wait",
        &format!("flood=64:{}", path.display()),
        "connect=after",
        "wait",
        "print=",
        &format!("cat={}", stream("codex-fine")),
        "exit=0",
    ];
    sandbox.install("codex", &steps);
    sandbox.agent("codex", &json!({}));
    let run = sandbox.start("Agent");
    let before = sandbox.socket.peer("before");
    let (shim, _) = run.supervisors(&before);
    before.tell("go");
    let after = sandbox.socket.peer("after");
    let grown = anonymous_kb(shim.pid);
    assert!(grown < 10_240, "{grown} kB");
    after.tell("go");
    let end = run.ended();
    assert_eq!(end["type"], "process_completed", "{end}");
}

/// What a setup command prints is no word of the engine's.
#[test]
fn records_before_the_engine_do_not_count() {
    let sandbox = Sandbox::new();
    let setup = format!("cat {}", stream("codex-fine"));
    sandbox.install("codex", &["print=hello", "exit=0"]);
    sandbox.agent("codex", &json!({"setup": [setup]}));
    let end = sandbox.run_to_end("Agent");
    assert_eq!(end["data"]["reason"], "no_result", "{end}");
    assert_eq!(end["data"].get("usage"), None);
}

#[test]
fn too_much_memory_is_told_as_such() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["spawn-setsid=child", "allocate=200", "connect=main", "wait"]);
    sandbox.worker(
        "Hungry",
        json!({"command": command, "limits": {"memory_mb": 100}, "worktree": true}),
    );
    let run = sandbox.start("Hungry");
    let child = sandbox.socket.peer("child");
    let end = run.ended();
    assert!(child.is_dead());
    let data = &end["data"];
    assert_eq!(
        (&data["reason"], &data["class"]),
        (&json!("memory_limit"), &json!("memory")),
        "{end}"
    );
    let error = "its processes used more than the 100 MB that its definition allows and were ended";
    assert_eq!(data["error"], error);
    sandbox.assert_clean();
}

#[test]
fn memory_below_the_limit_is_left_alone() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["allocate=60", "connect=main", "wait"]);
    sandbox.worker("Modest", json!({"command": command, "limits": {"memory_mb": 200}}));
    let run = sandbox.start("Modest");
    let main = sandbox.socket.peer("main");
    assert!(!main.dies_within(std::time::Duration::from_secs(1)));
    main.tell("exit 0");
    assert_eq!(run.ended()["type"], "process_completed");
}

/// A control group around everything, as in a container: the kernel ends what takes the most, and its count tells.
#[test]
fn the_oom_killer_of_a_control_group_is_named() {
    const TEST: &str = "the_oom_killer_of_a_control_group_is_named";
    let group = match Group::new(100) {
        Ok(group) => group,
        Err(reason) => return skipped(TEST, &reason),
    };
    let sandbox = Sandbox::new();
    let hungry = sandbox.fake(&["connect=main", "allocate=300", "wait"]);
    sandbox.worker("Hungry", json!({"command": hungry, "worktree": true}));
    // The shell lives on and says 137, as it would of any signal 9.
    let line = sandbox.fake_line(&["connect=main", "allocate=300", "wait"]);
    sandbox.worker("Shell", json!({"command": format!("{line}; exit $?")}));
    for (worker, code, signal) in
        [("Hungry", json!(null), json!(9)), ("Shell", json!(137), json!(null))]
    {
        let call = sandbox.lattice(["worker", "run", worker, "LAT-1", "--json"]);
        let run = sandbox.run_of(&group.inside(call).run().ok().data());
        sandbox.socket.peer("main");
        let end = run.ended();
        let data = &end["data"];
        assert_eq!(
            (&data["reason"], &data["class"]),
            (&json!("oom_killed"), &json!("memory")),
            "{end}"
        );
        assert_eq!((&data["exit_code"], &data["signal"]), (&code, &signal), "{end}");
        assert_eq!(
            (&data["error"], &data["ended_by"]),
            (&json!("the OOM killer ended it"), &json!("shim"))
        );
        sandbox.assert_clean();
    }
    // Of a kill that nobody's lack of memory has caused nothing of that is said.
    sandbox.fake_worker("Killed", &["kill-self=KILL"]);
    let call = sandbox.lattice(["worker", "run", "Killed", "LAT-1", "--json"]);
    let run = sandbox.run_of(&group.inside(call).run().ok().data());
    assert_eq!(run.ended()["data"]["reason"], "signaled");
    sandbox.assert_clean();
}

/// It takes the engine first, unless it is told otherwise, or the engine is none of those who have it all.
#[test]
fn the_oom_killer_that_takes_a_supervisor_is_named() {
    let group = match Group::new(100) {
        Ok(group) => group,
        Err(reason) => return skipped("the_oom_killer_that_takes_a_supervisor_is_named", &reason),
    };
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Small", &["connect=main", "wait"]);
    let call = sandbox.lattice(["worker", "run", "Small", "LAT-1", "--json"]);
    let run = sandbox.run_of(&group.inside(call).run().ok().data());
    let main = sandbox.socket.peer("main");
    let (shim, _) = run.supervisors(&main);
    fs::write(format!("/proc/{}/oom_score_adj", shim.pid), "1000").unwrap();
    let neighbour = sandbox.fake_argv(&["connect=neighbour", "wait", "allocate=300"]);
    let neighbour = group.inside(sandbox.program(neighbour)).start();
    sandbox.socket.peer("neighbour").tell("go");
    let data = &run.ended()["data"];
    assert_eq!(
        (&data["reason"], &data["class"]),
        (&json!("oom_killed"), &json!("memory")),
        "{data}"
    );
    assert_eq!(data["error"], "the OOM killer ended its supervisor, and it with that");
    assert_eq!(data["ended_by"], "warden");
    assert_eq!(neighbour.finish().signal, Some(9), "there was too little for it");
    sandbox.assert_clean();
}
