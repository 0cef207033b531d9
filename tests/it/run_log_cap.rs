//! `limits.log_bytes`: of a long log the beginning and the end are kept, and the record says what is missing.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::disk::Disk;
use crate::harness::run::Run;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually, skipped};

const LIMIT: u64 = 64 * 1024;
/// A sixteenth of the limit, and the block in which it falls.
const SLACK: u64 = LIMIT / 16 + 4096;

fn numbers(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

fn size_on_disk(sandbox: &Sandbox, run: &Run<'_>) -> u64 {
    let log = sandbox.lattice_dir().join(format!("logs/workers/{}.log", run.id));
    fs::metadata(log).unwrap().blocks() * 512
}

fn capped(script: &str) -> Value {
    json!({"command": script, "limits": {"log_bytes": LIMIT}})
}

#[test]
fn the_beginning_and_the_end_are_kept() {
    let sandbox = Sandbox::new();
    sandbox.worker("Loud", capped("seq 1 200000; exit 3"));
    let run = sandbox.start("Loud");
    let end = run.ended();
    sandbox.assert_clean();
    let data = &end["data"];
    let whole = numbers(1..=200_000);
    assert_eq!((&data["log_truncated"], &data["log_bytes"]), (&json!(true), &json!(whole.len())));
    let dropped = data["log_dropped_bytes"].as_u64().unwrap();
    assert!(size_on_disk(&sandbox, &run) <= LIMIT + SLACK, "{}", size_on_disk(&sandbox, &run));
    assert!(whole.len() as u64 - dropped <= LIMIT + SLACK && whole.len() as u64 - dropped >= LIMIT);
    assert!(data["log_tail"].as_str().unwrap().ends_with("199999\n200000"), "{end}");
    // Readers see both parts and, once, that something is missing.
    let shown = sandbox.lattice(["worker", "logs", &run.id]).run().ok().silent().stdout;
    let (head, tail) = shown
        .split_once(&format!("[{dropped} bytes of the log were dropped here]\n"))
        .unwrap_or_else(|| panic!("{} bytes, no remark", shown.len()));
    assert!(whole.starts_with(head.trim_end_matches('\n')) && head.len() as u64 >= LIMIT / 2);
    assert!(whole.ends_with(tail) && tail.len() as u64 >= LIMIT / 2);
    let last = sandbox.lattice(["worker", "logs", &run.id, "-n", "2"]).run().ok();
    assert_eq!(last.stdout, "199999\n200000\n");
    let data = sandbox.lattice(["worker", "logs", &run.id, "--json"]).run().ok().data();
    assert_eq!(data["text"], shown);
}

#[test]
fn a_log_below_its_limit_is_whole_and_nothing_is_said() {
    let sandbox = Sandbox::new();
    sandbox.worker("Loud", capped("seq 1 10000"));
    let run = sandbox.start("Loud");
    let end = run.ended();
    assert_eq!(run.log(), numbers(1..=10_000));
    for key in ["log_truncated", "log_dropped_bytes", "log_lost_bytes"] {
        assert!(end["data"].get(key).is_none(), "{end}");
    }
}

/// However fast it prints: the clock is looked at, and the log stays small.
#[test]
fn an_endless_printer_is_ended_in_time_with_a_small_log() {
    let sandbox = Sandbox::new();
    let mut definition = capped("yes this is too much");
    definition["timeout_minutes"] = json!(0.03);
    definition["grace_seconds"] = json!(1);
    sandbox.worker("Endless", definition);
    let run = sandbox.start("Endless");
    let end = run.ended();
    assert_eq!(end["data"]["reason"], "timed_out", "{end}");
    assert!(end["data"]["wall_seconds"].as_f64().unwrap() < 10.0, "{end}");
    assert!(size_on_disk(&sandbox, &run) <= LIMIT + SLACK);
    assert!(end["data"]["log_dropped_bytes"].as_u64().unwrap() > LIMIT);
    sandbox.assert_clean();
}

/// A reader that follows is overtaken by the hole, and goes on behind it.
#[test]
fn m15_following_a_log_that_is_cut() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["connect=main", "wait"]);
    sandbox.worker("Loud", capped(&format!("seq 1 100; {line}; seq 1 200000; echo the end")));
    let run = sandbox.start("Loud");
    let main = sandbox.socket.peer("main");
    let following = sandbox.lattice(["worker", "logs", &run.id, "-f"]).start();
    assert!(!following.process().dies_within(Duration::from_millis(300)));
    main.tell("exit 0");
    run.ended();
    let followed = following.finish().ok();
    assert!(
        followed.stdout.starts_with(&numbers(1..=100)) && followed.stdout.ends_with("the end\n")
    );
    assert!(!followed.stdout.contains('\0'), "holes are no text");
}

/// The warden goes on with the log of a shim that was killed, and counts what is missing.
#[test]
fn m15_the_cap_outlives_the_shim() {
    let sandbox = Sandbox::new();
    let line = sandbox.fake_line(&["connect=main", "wait"]);
    sandbox.worker("Loud", capped(&format!("seq 1 100000; {line}")));
    let run = sandbox.start("Loud");
    let main = sandbox.socket.peer("main");
    eventually("the log has a hole", SOON, || {
        if run.log().ends_with("\n100000\n") { Ok(()) } else { Err(String::new()) }
    });
    run.supervisors(&main).0.kill();
    let end = run.ended();
    assert_eq!(
        (&end["data"]["ended_by"], &end["data"]["log_truncated"]),
        (&json!("warden"), &json!(true))
    );
    assert!(end["data"]["log_dropped_bytes"].as_u64().unwrap() > 0, "{end}");
    assert!(size_on_disk(&sandbox, &run) <= LIMIT + SLACK);
    sandbox.assert_clean();
}

/// Attack S13: the engine does not wait for a full disk, and what the disk did not take is counted.
#[test]
fn s13_what_a_full_disk_did_not_take_is_counted() {
    let sandbox = Sandbox::empty();
    let disk = match Disk::new(&sandbox, "4m") {
        Ok(disk) => disk,
        Err(reason) => return skipped("s13_what_a_full_disk_did_not_take_is_counted", &reason),
    };
    let line = sandbox.fake_line(&["connect=main", "wait"]);
    let script = format!("echo first; {line}; seq 1 1000000; {line}; echo last");
    disk.define("Loud", &json!({"command": script}));
    let answer = disk.lattice(&["worker", "run", "Loud", "LAT-1", "--json"]).run().ok().data();
    let main = sandbox.socket.peer("main");
    disk.shell("cat /dev/zero > ../filler 2>/dev/null; true").run().ok();
    main.tell("exit 0");
    let main = sandbox.socket.peer("main");
    disk.shell("rm ../filler").run().ok();
    main.tell("exit 0");
    let run = answer["started_event_id"].as_str().unwrap().to_owned();
    let waited = disk.lattice(&["worker", "wait", &run, "--json"]).run().ok().data();
    let data = &waited["data"];
    let printed = "first\nlast\n".len() + numbers(1..=1_000_000).len();
    let (kept, lost) =
        (data["log_bytes"].as_u64().unwrap(), data["log_lost_bytes"].as_u64().unwrap());
    assert_eq!(kept + lost, printed as u64, "{waited}");
    let log = disk.lattice(&["worker", "logs", &run]).run().ok().stdout;
    assert!(log.starts_with("first\n") && log.ends_with("last\n"), "{}", log.len());
}

#[test]
fn a_limit_that_is_none_is_named() {
    let sandbox = Sandbox::new();
    sandbox.worker("Odd", json!({"command": "true", "limits": {"log_bytes": "1G"}}));
    let listed = sandbox.lattice(["worker", "list"]).run().ok().stdout;
    assert!(listed.contains("limits.log_bytes: must be a whole number above 0"), "{listed}");
    let refused = sandbox.lattice(["worker", "run", "Odd", "LAT-1", "--json"]).run();
    refused.refused(1, "INVALID_DEFINITION");
}
