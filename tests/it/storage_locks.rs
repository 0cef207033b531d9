//! Task locks against another process's flock(2), in both directions, with a lock file that is deleted on release.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::call::{Call, Running};
use crate::harness::process::Process;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace;
use crate::harness::waiting::{SOON, eventually, skipped};

/// Long enough to see that a command does not go on, short enough to wait for.
const A_WHILE: Duration = Duration::from_millis(400);

fn comment(sandbox: &Sandbox) -> Call {
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", ACTOR])
}

fn lock_path(sandbox: &Sandbox, key: &str) -> String {
    let task = &sandbox.task;
    sandbox
        .lattice_dir()
        .join(format!("locks/{}.lock", key.replace("TASK", task)))
        .display()
        .to_string()
}

#[test]
fn whoever_holds_a_lock_is_waited_for() {
    for (kind, key) in
        [("lock", "events_TASK"), ("lock", "tasks_TASK"), ("lock-shared", "events_TASK")]
    {
        let sandbox = Sandbox::without_git();
        let step = format!("{kind}={}", lock_path(&sandbox, key));
        let holder = sandbox.start_fake(&[&step, "connect=holder", "wait", "unlock", "exit=0"]);
        let peer = sandbox.socket.peer("holder");
        let waiting = comment(&sandbox).start();
        assert!(!waiting.process().dies_within(A_WHILE), "{kind} {key}");
        assert_eq!(sandbox.events().len(), 1);
        // The release deletes the file that the waiter may have open: it must not take that for the lock.
        peer.tell("go");
        waiting.finish().ok().silent();
        holder.finish().ok();
        assert_eq!(sandbox.events().len(), 2);
    }
}

#[test]
fn the_short_id_and_the_lifecycle_log_have_locks_of_their_own() {
    for key in ["ids_json", "events__lifecycle"] {
        let sandbox = Sandbox::without_git();
        let step = format!("lock={}", lock_path(&sandbox, key));
        let holder = sandbox.start_fake(&[&step, "connect=holder", "wait", "unlock", "exit=0"]);
        let peer = sandbox.socket.peer("holder");
        comment(&sandbox).run().ok();
        let waiting = sandbox.lattice(["create", "Second", "--actor", ACTOR]).start();
        assert!(!waiting.process().dies_within(A_WHILE), "{key}");
        peer.tell("go");
        waiting.finish().ok();
        holder.finish().ok();
    }
}

#[test]
fn a_lock_that_does_not_come_free_is_busy_before_python_gives_up() {
    let sandbox = Sandbox::without_git();
    let step = format!("lock={}", lock_path(&sandbox, "events_TASK"));
    let holder = sandbox.start_fake(&[&step, "connect=holder", "wait"]);
    let peer = sandbox.socket.peer("holder");
    let before = sandbox.tree();
    let refused = comment(&sandbox).arg("--json").run();
    assert!((7.5..10.0).contains(&refused.elapsed.as_secs_f64()), "{refused}");
    refused.silent().refused(3, "LOCK_TIMEOUT");
    sandbox.assert_unchanged(&before);
    // Readers need no lock.
    sandbox.lattice(["show", "LAT-1"]).run().ok();
    peer.tell("exit 0");
    holder.finish().ok();
}

#[test]
fn the_other_side_is_kept_out_while_we_write() {
    let sandbox = Sandbox::without_git();
    if !strace::available(&sandbox) {
        return skipped("the_other_side_is_kept_out_while_we_write", "no strace");
    }
    // Stopped at the sync of the event's line, in the middle of its critical section.
    let inject = [
        "strace",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:signal=SIGSTOP:when=1",
    ];
    let writing = comment(&sandbox).through(inject).start();
    eventually("the event's line is written and not synced", SOON, || {
        match sandbox.events().len() {
            2 => Ok(()),
            _ => Err("not written".to_owned()),
        }
    });
    for key in ["events_TASK", "tasks_TASK"] {
        let tried = sandbox.program(["flock", "-n", &lock_path(&sandbox, key), "true"]).run();
        assert_eq!(tried.code, Some(1), "{key} is free, {tried}");
    }
    let stopped = stopped_child(&writing);
    assert!(!writing.process().dies_within(A_WHILE));
    stopped.signal(Signal::CONT);
    writing.finish().ok();
    for key in ["events_TASK", "tasks_TASK"] {
        sandbox.program(["flock", "-n", &lock_path(&sandbox, key), "true"]).run().ok();
    }
}

/// The process that strace runs. Before it there are others: strace tries out what the kernel can do.
fn stopped_child(strace: &Running) -> Process {
    let parent = strace.process().pid;
    eventually("strace runs lattice", SOON, || {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let children = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
        let is_lattice = |pid: &i32| {
            fs_err::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name == "lattice\n")
        };
        let pid = children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_lattice);
        pid.and_then(Process::open).ok_or_else(|| children.clone())
    })
}

#[test]
fn a_lock_file_that_was_deleted_between_open_and_flock_is_no_lock() {
    let sandbox = Sandbox::without_git();
    if !strace::available(&sandbox) {
        return skipped("a_lock_file_that_was_deleted_between_open_and_flock", "no strace");
    }
    let step = format!("lock={}", lock_path(&sandbox, "events_TASK"));
    let first = sandbox.start_fake(&[&step, "connect=first", "wait", "unlock", "exit=0"]);
    let peer = sandbox.socket.peer("first");
    // It has opened the file, and sleeps before it asks for the lock.
    let late = ["strace", "-o", "/dev/null", "-e", "trace=flock", "-e"];
    let delay = "inject=flock:delay_enter=1500000:when=1";
    let writing = comment(&sandbox).through(late.into_iter().chain([delay])).start();
    let writer = stopped_child(&writing).pid;
    let lock = lock_path(&sandbox, "events_TASK");
    eventually("the lock file is open", SOON, || {
        let open = fs_err::read_dir(format!("/proc/{writer}/fd")).map_err(|e| e.to_string())?;
        let mut links = open.flatten().filter_map(|entry| fs_err::read_link(entry.path()).ok());
        if links.any(|link| link.to_str() == Some(&lock)) { Ok(()) } else { Err("not".to_owned()) }
    });
    // Deleted and let go, as some versions of Python's lock library do; then somebody else locks a new one.
    peer.tell("go");
    first.finish().ok();
    let second = sandbox.start_fake(&[&step, "connect=second", "wait", "unlock", "exit=0"]);
    let peer = sandbox.socket.peer("second");
    assert!(
        !writing.process().dies_within(Duration::from_millis(2500)),
        "it wrote beside a holder"
    );
    assert_eq!(sandbox.events().len(), 1);
    peer.tell("go");
    writing.finish().ok();
    second.finish().ok();
    assert_eq!(sandbox.events().len(), 2);
}

#[test]
fn no_line_is_lost_between_writers_that_delete_their_lock_file() {
    let sandbox = Sandbox::without_git();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let rewrite =
        format!("rewrite-locked=400:{}:{}", lock_path(&sandbox, "events_TASK"), log.display());
    let others = [sandbox.start_fake(&[&rewrite]), sandbox.start_fake(&[&rewrite])];
    for _ in 0..10 {
        let ours: Vec<_> = (0..4).map(|_| comment(&sandbox).start()).collect();
        for call in ours {
            call.finish().ok().silent();
        }
    }
    for other in others {
        other.finish().ok();
    }
    assert_eq!(sandbox.events().len(), 41);
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(shown["comment_count"], 40);
}

#[test]
fn parallel_creates_share_out_the_short_ids() {
    let sandbox = Sandbox::without_git();
    let calls: Vec<_> = (0..12)
        .map(|_| sandbox.lattice(["create", "One", "--actor", ACTOR, "--quiet"]).start())
        .collect();
    let mut ids: Vec<_> = calls.into_iter().map(|call| call.finish().ok().stdout).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12, "{ids:?}");
    let listed = sandbox.lattice(["list", "--quiet"]).run().ok();
    assert_eq!(listed.stdout.lines().count(), 13);
}

#[test]
fn a_link_in_place_of_a_lock_file_is_not_followed() {
    let sandbox = Sandbox::without_git();
    sandbox.write("mine", "precious");
    let lock = lock_path(&sandbox, "events_TASK");
    sandbox.sh(&format!("ln -sf $PWD/mine {lock}"));
    let refused = comment(&sandbox).run().exits(1);
    assert!(refused.stderr.starts_with("Error: "), "{refused}");
    assert_eq!(sandbox.events().len(), 1);
}
