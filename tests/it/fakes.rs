//! The fake engine and the harness, without the product: a test that waits must be able to fail.

use std::time::Duration;

use fs_err as fs;

use crate::harness::binaries::fake;
use crate::harness::process::carrying;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::SOON;

#[test]
fn a_connected_fake_is_told_how_to_end() {
    let sandbox = Sandbox::empty();
    let running =
        sandbox.start_fake(&["connect=main", "print=ready", "wait", "print=gone", "wait"]);
    let peer = sandbox.socket.peer("main");
    assert!(!peer.is_dead());
    peer.tell("go");
    peer.tell("exit 3");
    peer.wait_dead(SOON);
    running.finish().exits(3).stdout("ready\ngone\n");
}

#[test]
fn every_kind_of_descendant_outlives_its_parent() {
    let sandbox = Sandbox::empty();
    let steps = [
        "spawn-child=a",
        "spawn-setsid=b",
        "spawn-double-fork=c",
        "spawn-nohup=d",
        "spawn-env-i=e",
        "exit=0",
    ];
    let running = sandbox.start_fake(&steps);
    let peers = ["a", "b", "c", "d", "e"].map(|name| sandbox.socket.peer(name));
    // The fakes hold the output of the call, so it cannot be read to its end before they are gone.
    assert!(running.process().dies_within(SOON));
    assert!(peers.iter().all(|peer| !peer.is_dead()));
    let marker = format!("LATTICE_TEST_ID={}", sandbox.base.file_name().unwrap().display());
    let marked = carrying(&marker).len();
    assert_eq!(marked, 4, "the marker finds all but the one without an environment");
    peers.iter().for_each(|peer| peer.kill());
    peers.iter().for_each(|peer| peer.wait_dead(SOON));
    running.finish().ok();
}

/// `scripts/campaign` looks for the program of the tests among others, of which this is one.
#[test]
fn options_of_another_program_make_no_file() {
    let sandbox = Sandbox::empty();
    let before = sandbox.tree();
    sandbox.program([fake("striker").as_str(), "--ignored", "--exact", "x"]).run().exits(97);
    sandbox.assert_unchanged(&before);
}

#[test]
fn an_ignored_signal_does_not_end_a_fake_nor_its_daemon() {
    let sandbox = Sandbox::empty();
    let running =
        sandbox.start_fake(&["ignore=TERM", "spawn-setsid=daemon", "connect=main", "wait"]);
    let (daemon, main) = (sandbox.socket.peer("daemon"), sandbox.socket.peer("main"));
    for peer in [&daemon, &main] {
        peer.signal(rustix::process::Signal::TERM);
        assert!(!peer.dies_within(Duration::from_millis(100)));
    }
    daemon.kill();
    main.tell("exit 0");
    running.finish().ok();
}

#[test]
fn dumps_show_what_an_engine_was_given() {
    let sandbox = Sandbox::empty();
    let path = |name: &str| sandbox.base.join(name).display().to_string();
    let steps = [
        format!("env-dump={}", path("env")),
        format!("fds-dump={}", path("fds")),
        format!("read-stdin={}", path("stdin")),
        format!("status-dump={}", path("status")),
    ];
    sandbox.start_fake(&steps.each_ref().map(String::as_str)).finish().ok();
    assert!(fs::read_to_string(path("env")).unwrap().contains("LATTICE_TEST_ID="));
    assert!(fs::read_to_string(path("fds")).unwrap().starts_with("0 /dev/null\n1 pipe:"));
    assert_eq!(fs::read_to_string(path("stdin")).unwrap(), "0 bytes");
    assert!(fs::read_to_string(path("status")).unwrap().contains("SigIgn:"));
}

#[test]
fn descriptors_are_leaked_to_what_the_fake_execs() {
    let sandbox = Sandbox::empty();
    let file = sandbox.base.join("file");
    fs::write(&file, "").unwrap();
    let leak = format!("leak-fds=20:{}", file.display());
    let count = sandbox
        .start_fake(&[&leak, "exec=sh", "-c", "ls -l /proc/self/fd | grep -c /file"])
        .finish()
        .ok();
    count.stdout("20\n");
}

#[test]
#[should_panic(expected = "no process of the sandbox is left")]
fn a_process_that_is_left_fails_the_test() {
    let mut sandbox = Sandbox::empty();
    sandbox.patience = Duration::from_millis(200);
    sandbox.program(["bash", "-c", "sleep 1000 >/dev/null 2>&1 &"]).run().ok();
}
