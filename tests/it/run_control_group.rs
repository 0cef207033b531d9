//! A run in a control group of its own, where one is delegated to its caller: the kernel's limits, a verdict from its
//! counts, everybody found, and no group left.

use serde_json::{Value, json};

use crate::harness::cgroup::Delegated;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually, skipped};

fn start<'a>(sandbox: &'a Sandbox, delegated: &Delegated, worker: &str) -> Run<'a> {
    let call = sandbox.lattice(["worker", "run", worker, "LAT-1", "--json"]);
    sandbox.run_of(&delegated.inside(call).run().ok().data())
}

#[track_caller]
fn assert_end(end: &Value, reason: &str, class: Option<&str>, error: &str) {
    let data = &end["data"];
    assert_eq!((&data["reason"], data["class"].as_str()), (&json!(reason), class), "{end}");
    assert_eq!((&data["error"], &data["containment"]), (&json!(error), &json!("cgroup")), "{end}");
}

macro_rules! delegated {
    ($test:literal) => {
        match Delegated::new() {
            Ok(delegated) => delegated,
            Err(reason) => return skipped($test, &reason),
        }
    };
}

#[test]
fn the_kernel_ends_what_takes_too_much_memory() {
    let delegated = delegated!("the_kernel_ends_what_takes_too_much_memory");
    let sandbox = Sandbox::new();
    let child = sandbox.fake_line(&["allocate=200"]);
    let limits = json!({"memory_mb": 100});
    let error = "its processes needed more than the 100 MB that its definition allows, and the kernel ended them";
    sandbox.worker("Child", json!({"command": format!("setsid {child} & wait"), "limits": limits}));
    assert_end(&start(&sandbox, &delegated, "Child").ended(), "oom_killed", Some("memory"), error);
    sandbox.assert_clean();
    assert_eq!(delegated.groups(), [""; 0]);

    sandbox.worker(
        "Setup",
        json!({"command": "true", "setup": ["exec tail /dev/zero"], "limits": limits}),
    );
    let error = format!("setup `exec tail /dev/zero`: {error}");
    assert_end(&start(&sandbox, &delegated, "Setup").ended(), "oom_killed", Some("memory"), &error);

    // A kill that nobody's lack of memory has caused is no such thing.
    sandbox.worker("Killed", json!({"command": "kill -KILL $$", "limits": limits}));
    let end = start(&sandbox, &delegated, "Killed").ended();
    assert_end(&end, "signaled", None, "ended by signal 9");
    sandbox.assert_clean();
    assert_eq!(delegated.groups(), [""; 0]);
}

#[test]
fn the_kernel_counts_processes() {
    let delegated = delegated!("the_kernel_counts_processes");
    let sandbox = Sandbox::new();
    let limits = json!({"processes": 20});
    sandbox.worker("Many", json!({"command": sandbox.fake(&["multiply=6"]), "limits": limits}));
    let end = start(&sandbox, &delegated, "Many").ended();
    let error = "it ran more than the 20 processes that its definition allows, threads counted, and was ended";
    assert_end(&end, "process_limit", Some("limit"), error);
    sandbox.assert_clean();
    assert_eq!(delegated.groups(), [""; 0]);
}

#[test]
fn supervisors_stay_where_their_caller_is() {
    let delegated = delegated!("supervisors_stay_where_their_caller_is");
    let sandbox = Sandbox::new();
    let steps = ["spawn-setsid=child", "connect=main", "wait"];
    sandbox.worker("Held", json!({"command": sandbox.fake(&steps), "limits": {"memory_mb": 500}}));
    let run = start(&sandbox, &delegated, "Held");
    let [main, child] = ["main", "child"].map(|name| sandbox.socket.peer(name));
    let own = format!("lattice-{}", run.id);
    assert_eq!((delegated.of(main.pid), delegated.of(child.pid)), (own.clone(), own));
    let (shim, warden) = run.supervisors(&main);
    assert_eq!(delegated.of(shim.pid), "main");
    assert_eq!(delegated.of(warden.pid), "main");
    main.tell("exit 0");
    let end = run.ended();
    assert_eq!(
        (&end["type"], &end["data"]["containment"]),
        (&json!("process_completed"), &json!("cgroup"))
    );
    assert!(child.is_dead());
    sandbox.assert_clean();
    assert_eq!(delegated.groups(), [""; 0]);
}

/// It has shed its environment, its directory and its output, and both supervisors are dead.
#[test]
fn a_daemon_without_any_mark_is_found_in_the_group() {
    let delegated = delegated!("a_daemon_without_any_mark_is_found_in_the_group");
    for kill_both in [false, true] {
        let sandbox = Sandbox::new();
        let steps = ["spawn-unseen=daemon", "connect=main", "wait"];
        let limits = json!({"memory_mb": 500});
        sandbox.worker(
            "Held",
            json!({"command": sandbox.fake(&steps), "worktree": true, "limits": limits}),
        );
        let run = start(&sandbox, &delegated, "Held");
        let [main, daemon] = ["main", "daemon"].map(|name| sandbox.socket.peer(name));
        if kill_both {
            run.lose_supervisors(&main);
            assert!(!daemon.is_dead());
            sandbox.lattice(["worker", "reap"]).run().ok();
        } else {
            run.supervisors(&main).0.kill();
        }
        let end = run.ended();
        assert!(daemon.is_dead(), "dead before the end is told");
        assert_eq!(end["data"]["containment"], "cgroup", "{end}");
        sandbox.assert_clean();
        assert_eq!(delegated.groups(), [""; 0]);
    }
}

/// What an engine starts as a run of its own outlives it, in a group of its own.
#[test]
fn a_nested_run_is_no_part_of_the_group() {
    let delegated = delegated!("a_nested_run_is_no_part_of_the_group");
    let sandbox = Sandbox::new();
    let limits = json!({"memory_mb": 500});
    sandbox.worker(
        "Inner",
        json!({"command": sandbox.fake(&["connect=inner", "wait"]), "limits": limits}),
    );
    let steps = sandbox.fake_line(&["connect=outer", "wait"]);
    let command = format!("lattice worker run Inner LAT-1 && {steps}");
    sandbox.worker("Outer", json!({"command": command, "limits": limits}));
    let outer = start(&sandbox, &delegated, "Outer");
    let [inner, main] = ["inner", "outer"].map(|name| sandbox.socket.peer(name));
    let supervisor = inner.parent();
    assert_eq!(delegated.of(supervisor.pid), "lattice-supervisors");
    assert_ne!(delegated.of(inner.pid), delegated.of(main.pid));
    main.tell("exit 0");
    assert_eq!(outer.ended()["type"], "process_completed");
    assert!(!inner.is_dead() && !supervisor.is_dead());
    inner.tell("exit 0");
    let is_inner = |event: &&Value| {
        event["type"] == "process_started" && event["data"]["process_type"] == "Inner"
    };
    let started = sandbox.events().iter().find(is_inner).expect("it was started").clone();
    let run = json!({"started_event_id": started["id"], "task_id": started["task_id"]});
    assert_eq!(sandbox.run_of(&run).ended()["type"], "process_completed");
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 2);
    // The one who ended last was in it himself.
    let left = delegated.groups();
    assert!(left.is_empty() || left == ["lattice-supervisors"], "{left:?}");
    start(&sandbox, &delegated, "Inner");
    sandbox.socket.peer("inner").tell("exit 0");
    eventually("the next end removes it", SOON, || match delegated.groups().as_slice() {
        [] => Ok(()),
        left => Err(format!("{left:?}")),
    });
    sandbox.assert_clean();
}

#[test]
fn a_check_says_whether_there_will_be_one() {
    let delegated = delegated!("a_check_says_whether_there_will_be_one");
    let sandbox = Sandbox::new();
    let check = || delegated.inside(sandbox.lattice(["worker", "check"])).run().stdout;
    let below = format!("by a control group below {};", delegated.base.display());
    assert!(check().contains(&below), "{}", check());
    // As a user's manager divides what was delegated to it.
    let of_systemd = delegated.base.join("init.scope");
    fs_err::create_dir(&of_systemd).unwrap();
    let told = check();
    fs_err::remove_dir(&of_systemd).unwrap();
    assert!(told.contains("is delegated to a systemd, which divides it by itself"), "{told}");
    let plain = sandbox.lattice(["worker", "check"]).run().stdout;
    assert!(plain.contains("by looking, because no control group is delegated to it"), "{plain}");
}
