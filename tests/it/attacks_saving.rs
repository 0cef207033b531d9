//! Attacks on what an end saves before it deletes, each test named by its row: git's lock files, what git starts by
//! itself, and the order of the syncs.

use fs_err as fs;
use serde_json::json;

use crate::attacks_end::{kill, working};
use crate::harness::hold;
use crate::harness::sandbox::Sandbox;
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};

/// Git removes its lock files on TERM, and not on KILL: TERM is what it gets when its supervisor dies.
#[test]
fn s7_a_git_whose_supervisors_die_leaves_no_lock_file() {
    let sandbox = Sandbox::new();
    hold::git(&sandbox);
    let (run, main) = working(&sandbox);
    let (shim, warden) = run.supervisors(&main);
    hold::once(&sandbox, "salvage");
    main.tell("exit 0");
    let held = sandbox.socket.peer("salvage");
    let git = held.ancestor("git");
    let locks = || sandbox.sh("find .git .lattice/runs -name '*.lock'").stdout;
    assert!(!locks().is_empty(), "this is the attack");
    kill([&warden, &shim]);
    git.wait_dead(SOON);
    assert_eq!(locks(), "");
    assert!(!held.is_dead(), "nobody has told what git had started");
    sandbox.lattice(["worker", "reap"]).run().ok();
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "supervisor_lost");
    assert!(held.is_dead());
    let saved = format!("{}:precious", end["data"]["preserved_ref"].as_str().unwrap());
    assert_eq!(sandbox.git(["show", &saved]), "work");
    sandbox.assert_clean();
}

/// What git starts on its own would outlive the run, or be ended with it.
#[test]
fn s7_git_starts_nothing_of_its_own_for_a_run() {
    let sandbox = Sandbox::new();
    let command = sandbox.fake(&["write=precious:work\n", "connect=main", "wait"]);
    sandbox.worker("Work", json!({"command": command, "worktree": true}));
    let told = sandbox.base.join("told");
    let tool = sandbox.base.join("tool").display().to_string();
    fs::write(&tool, format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", told.display())).unwrap();
    sandbox.sh(&format!("chmod +x {tool}"));
    let settings = [
        ("core.fsmonitor", tool.as_str()),
        ("gpg.program", &tool),
        ("commit.gpgSign", "true"),
        ("core.editor", &tool),
        ("core.hooksPath", &sandbox.base.display().to_string()),
        ("gc.auto", "1"),
        ("maintenance.auto", "true"),
    ];
    for (key, value) in settings {
        sandbox.git(["config", key, value]);
    }
    for hook in ["post-checkout", "reference-transaction", "post-index-change"] {
        sandbox.sh(&format!("cp {tool} {}", sandbox.base.join(hook).display()));
    }
    let run = sandbox.start("Work");
    sandbox.socket.peer("main").tell("exit 0");
    let end = run.ended();
    assert!(end["data"]["preserved_ref"].is_string(), "{end}");
    eventually("the end is over", SOON, || {
        if run.directory().exists() { Err(String::new()) } else { Ok(()) }
    });
    assert_eq!(fs::read_to_string(&told).unwrap_or_default(), "");
    for (key, _) in settings {
        sandbox.git(["config", "--unset", key]);
    }
    sandbox.assert_clean();
}

/// Nothing is deleted and nobody is told before what it relies on has been synced.
#[test]
fn s14_an_end_is_synced_in_the_order_in_which_it_is_relied_on() {
    let name = "s14_an_end_is_synced_in_the_order_in_which_it_is_relied_on";
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped(name, "no strace");
    }
    let (run, main) = working(&sandbox);
    let (shim, _) = run.supervisors(&main);
    let tracing = strace::attached_with(&sandbox, &shim, &["-f", "-y", "-s", "1000"]);
    main.tell("exit 3");
    let trace = strace::traced_text(&sandbox, tracing);
    let directory = format!("/runs/{}", run.id);
    let log = format!("/events/{}.jsonl>", run.task);
    strace::assert_order(
        &trace,
        &[
            &["fsync(", "/.git/objects/"],
            &["fsync(", "/.git/refs/lattice/runs/"],
            &["rename", "/.git/refs/lattice/runs/", ".lock\""],
            &["syncfs(", "/.git>"],
            &["fsync(", &directory, "/.claimed-"],
            &["link", &directory, "/terminal.json\""],
            &["fsync(", &format!("{directory}>")],
            &["write(", &log, "process_failed"],
            &["sync(", &log],
            &["rename", "/worktrees/", if sandbox.has_pool() { "/.pool-" } else { "/.trash-" }],
            &["sync(", "/logs/workers/"],
            &["rename", &directory, "/.old-"],
            &["fsync(", "/.lattice/runs>"],
        ],
    );
    sandbox.assert_clean();
}
