//! For any log that the Python tool can write, our `rebuild` makes the bytes that its `rebuild` makes.

use std::fmt::Write;
use std::path::Path;

use fs_err as fs;

use crate::harness::binaries::variable;
use crate::harness::logs::{Log, Logs};
use crate::harness::peer::Peer;
use crate::harness::random::Random;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::skipped;

/// Logs of one project; and projects, of which the ordinary tests make one.
const LOGS: usize = 250;
const PROJECTS: usize = 40;

#[test]
fn our_rebuild_of_any_log_is_the_python_tools() {
    let sandbox = Sandbox::without_git();
    let mut peer = match Peer::new(&sandbox, None) {
        Ok(peer) => peer,
        Err(reason) => return skipped("our_rebuild_of_any_log_is_the_python_tools", &reason),
    };
    let mut random = Random::seeded();
    let is_full = variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full");
    for _ in 0..if is_full { PROJECTS } else { 1 } {
        compare(&sandbox, &mut peer, &mut random);
    }
}

/// What strict JSON does not have, in the state itself; and a line that is longer than any buffer.
#[test]
fn our_writes_keep_what_json_does_not_have() {
    let sandbox = Sandbox::without_git();
    let mut peer = match Peer::new(&sandbox, None) {
        Ok(peer) => peer,
        Err(reason) => return skipped("our_writes_keep_what_json_does_not_have", &reason),
    };
    let path = |place: &str| {
        sandbox.lattice_dir().join(place.replace("T.", &format!("{}.", sandbox.task)))
    };
    let mut log = fs::read_to_string(path("events/T.jsonl")).unwrap();
    let long = "x".repeat(5_000_000);
    for (number, (field, to)) in [
        ("title", r#""a\udcff\ud83d\ude00""#.to_owned()),
        ("custom_fields.n", "[NaN,-Infinity,123456789012345678901234567890,1.50]".to_owned()),
        ("description", format!("\"{long}\"")),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("ev_01KB00000000000000000000{number:02}");
        writeln!(
            log,
            r#"{{"actor":"human:ana","data":{{"field":"{field}","from":null,"to":{to}}},"id":"{id}","schema_version":1,"task_id":"{}","ts":"2026-03-01T10:00:00Z","type":"field_updated"}}"#,
            sandbox.task
        )
        .unwrap();
    }
    fs::write(path("events/T.jsonl"), &log).unwrap();
    let shown = sandbox.lattice(["list"]).run().ok().stdout;
    assert!(shown.contains("\"First task\""), "{shown}");
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", "human:ana"]).run().ok();
    let shown = sandbox.lattice(["list"]).run().ok().stdout;
    assert!(shown.contains("\"a\u{fffd}\u{1f600}\""), "{shown}");
    assert!(fs::read_to_string(path("events/T.jsonl")).unwrap().starts_with(&log));
    let ours = fs::read_to_string(path("tasks/T.json")).unwrap();
    assert!(ours.contains(r#""title": "a\udcff\ud83d\ude00""#) && ours.contains("NaN,"));
    peer.call(&sandbox.project, &["rebuild", &sandbox.task]).ok();
    assert!(fs::read_to_string(path("tasks/T.json")).unwrap() == ours);
}

fn compare(sandbox: &Sandbox, peer: &mut Peer, random: &mut Random) {
    let mut logs = Logs::new(random);
    let logs: Vec<Log> = (0..LOGS).map(|_| logs.log()).collect();
    let (ours, theirs) = (sandbox.project.clone(), sandbox.base.join("theirs"));
    for log in &logs {
        let place = if log.is_archived { "archive/events" } else { "events" };
        let path = sandbox.lattice_dir().join(place).join(format!("{}.jsonl", log.task));
        fs::write(path, &log.text).unwrap();
    }
    sandbox.sh("rm -rf ../theirs && mkdir ../theirs && cp -r .lattice ../theirs/");
    peer.call(&theirs, &["rebuild", "--all", "--json"]).ok();
    sandbox.lattice(["rebuild", "--all"]).run().ok();
    for log in &logs {
        let read = |project: &Path| {
            let places = ["tasks", "archive/tasks"].map(|place| {
                let path = project.join(".lattice").join(place).join(format!("{}.json", log.task));
                fs::read_to_string(path).ok()
            });
            places.map(Option::unwrap_or_default).join("--- archived\n")
        };
        let (ours, theirs) = (read(&ours), read(&theirs));
        assert!(ours == theirs, "of {}:\n{}\n{}", log.task, log.text, differences(&ours, &theirs));
    }
    let lifecycle = |project: &Path| -> Vec<String> {
        let path = project.join(".lattice/events/_lifecycle.jsonl");
        let log = fs::read_to_string(path).unwrap();
        log.lines().map(|line| id(line).to_owned()).collect()
    };
    assert_eq!(lifecycle(&ours), lifecycle(&theirs));
    let index = |project: &Path| fs::read_to_string(project.join(".lattice/ids.json")).unwrap();
    assert_eq!(index(&ours), index(&theirs));
    // What our rebuild finds nowhere else it keeps, and it is time for other tasks.
    sandbox.sh("cd .lattice && rm */task_01KB* archive/*/task_01KB* events/_lifecycle.jsonl");
}

/// The ID of the event in a line.
fn id(line: &str) -> &str {
    line.split_once("\"id\":\"").expect("an event has an ID").1.split('"').next().unwrap()
}

/// The lines that are not the same in both.
fn differences(ours: &str, theirs: &str) -> String {
    let only = |mark: &str, a: &str, b: &str| -> String {
        let lines = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    only("Python:", theirs, ours) + &only("here:  ", ours, theirs)
}
