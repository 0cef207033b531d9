//! `doctor`: every state that crashes, git and the Python tool leave, set up on disk; found, repaired, written on,
//! rebuilt. No event is lost on the way, and the snapshot is the replay.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::Finished;
use crate::harness::sandbox::{ACTOR, Sandbox};

const LATE: &str = "ev_01KA00000000000000000000A1";

pub fn doctor(sandbox: &Sandbox, options: &[&str]) -> Finished {
    sandbox.lattice(["doctor", "--json"].iter().chain(options).copied()).run()
}

/// `level check`, sorted.
pub fn findings(finished: &Finished) -> Vec<String> {
    let list = finished.data()["findings"].as_array().unwrap().clone();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let mut found: Vec<String> = list
        .iter()
        .map(|finding| format!("{} {}", text(finding, "level"), text(finding, "check")))
        .collect();
    found.sort();
    found
}

pub fn path(sandbox: &Sandbox, place: &str) -> PathBuf {
    sandbox.lattice_dir().join(place.replace("T.", &format!("{}.", sandbox.task)))
}

/// IDs of all events of the task, wherever its log is.
fn ids(sandbox: &Sandbox) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for place in ["events/T.jsonl", "archive/events/T.jsonl"] {
        let log = fs::read(path(sandbox, place)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        // Also what stands in a line that cannot be read.
        let parts = log.split("\"id\":\"").skip(1);
        ids.extend(parts.filter_map(|part| part.split_once('"')).map(|(id, _)| id.to_owned()));
    }
    ids
}

/// A task with a comment, of another tool's or our own making.
pub fn project() -> Sandbox {
    let sandbox = Sandbox::without_git();
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", ACTOR]).run().ok();
    let line = |kind: &str| {
        json!({"actor": ACTOR, "data": {}, "id": LATE, "schema_version": 1, "task_id": sandbox.task,
            "ts": "2026-03-01T10:00:00Z", "type": kind})
        .to_string()
            + "\n"
    };
    fs::write(sandbox.lattice_dir().join("late"), line("x_late")).unwrap();
    fs::write(sandbox.lattice_dir().join("archived"), line("task_archived")).unwrap();
    sandbox
}

pub struct Case {
    /// The row of the matrix.
    pub name: &'static str,
    /// In `.lattice`; `T.` is the task, `late` and `archived` are files with one event each.
    broken: &'static str,
    found: &'static [&'static str],
    /// What only a person can decide.
    pub stays: &'static [&'static str],
    pub archived: bool,
}

impl Case {
    /// A project in that state.
    pub fn set_up(&self) -> Sandbox {
        let sandbox = project();
        let script = self.broken.replace("T.", &format!("{}.", sandbox.task));
        sandbox.sh(&format!("cd .lattice && {script} && rm -f late archived l"));
        sandbox
    }
}

const fn case(name: &'static str, broken: &'static str, found: &'static [&'static str]) -> Case {
    Case { name, broken, found, stays: &[], archived: false }
}

pub const CASES: &[Case] = &[
    case("nothing is wrong", "true", &[]),
    case(
        "a short ID was taken, and its task never written",
        "sed -i 's/\"map\": {/\"map\": {\"LAT-7\": \"task_01KA00000000000000000000Z9\",/' ids.json",
        &["warning alias_integrity", "warning alias_integrity"],
    ),
    case(
        "an event is there, its snapshot is not",
        "cat late >> events/T.jsonl",
        &["warning snapshot_drift"],
    ),
    case(
        "the same, hidden by the next write of a tool that began with the old snapshot",
        "cat late >> events/T.jsonl && sed -i \"s/last_event_id\\\": .*/last_event_id\\\": \\\"$(grep -o 'ev_[0-9A-Z]*' late)\\\",/\" tasks/T.json",
        &["warning snapshot_drift"],
    ),
    case(
        "a lost update: the last IDs agree, the rest does not",
        "sed -i 's/\"comment_count\": 1/\"comment_count\": 0/' tasks/T.json",
        &["warning snapshot_drift"],
    ),
    case(
        "a creation was cut off: a log, no snapshot",
        "rm tasks/T.json",
        &["warning snapshot_drift"],
    ),
    case(
        "a snapshot that git has merged",
        "echo '<<<<<<< HEAD' > tasks/T.json",
        &["error json_parse"],
    ),
    case(
        "no line of the life cycles",
        ": > events/_lifecycle.jsonl",
        &["warning global_log_consistency"],
    ),
    case(
        "no log of the life cycles",
        "rm events/_lifecycle.jsonl",
        &["warning global_log_consistency"],
    ),
    case(
        "a torn line in the log of the life cycles",
        "printf '{\"act' >> events/_lifecycle.jsonl",
        &["warning global_log_consistency"],
    ),
    case(
        "the last line is cut",
        "printf '{\"actor\":\"hum' >> events/T.jsonl",
        &["warning jsonl_parse"],
    ),
    case(
        "the same, and the next line ended it",
        "(printf '{\"actor\":\"hum'; echo; cat late) >> events/T.jsonl",
        &["error jsonl_parse", "warning snapshot_drift"],
    ),
    case(
        "the same, and the next event is glued to it",
        "(printf '{\"actor\":\"hum'; cat late) >> events/T.jsonl",
        &["error jsonl_parse"],
    ),
    case("the last line lacks its end", "truncate -s -1 events/T.jsonl", &["warning jsonl_parse"]),
    case(
        "the same, and the next event is glued to it whole",
        "truncate -s -1 events/T.jsonl && cat late >> events/T.jsonl",
        &["error jsonl_parse", "warning snapshot_drift"],
    ),
    case(
        "the snapshot is in the archive, the log is not",
        "mv tasks/T.json archive/tasks/",
        &["warning snapshot_drift", "warning task_place"],
    ),
    case("snapshots in both places", "cp tasks/T.json archive/tasks/", &["warning task_place"]),
    case("logs in both places", "cp events/T.jsonl archive/events/", &["warning task_place"]),
    case(
        "both in both places, and a late event in the archive",
        "cp events/T.jsonl archive/events/ && cp tasks/T.json archive/tasks/ && cat late >> archive/events/T.jsonl",
        &["warning snapshot_drift", "warning task_place", "warning task_place"],
    ),
    case(
        "the log is in the archive, a short one outside",
        "mv events/T.jsonl archive/events/ && cp late events/T.jsonl",
        &["warning snapshot_drift", "warning task_place"],
    ),
    Case {
        name: "an archiving was cut off before its log moved",
        broken: "cat archived >> events/T.jsonl && cat archived >> events/_lifecycle.jsonl && mv tasks/T.json archive/tasks/",
        found: &["warning snapshot_drift", "warning task_place", "warning task_place"],
        stays: &[],
        archived: true,
    },
    Case {
        name: "an archiving was cut off before its snapshot moved",
        broken: "cat archived >> events/T.jsonl && mv events/T.jsonl archive/events/",
        found: &[
            "warning global_log_consistency",
            "warning snapshot_drift",
            "warning task_place",
            "warning task_place",
        ],
        stays: &[],
        archived: true,
    },
    case("ids.json is torn", "printf '{torn' > ids.json", &["error alias_integrity"]),
    case("ids.json is empty", "printf '' > ids.json", &["error alias_integrity"]),
    case("ids.json is gone", "rm ids.json", &["warning alias_integrity"]),
    case(
        "ids.json has lost its map",
        "echo '{\"map\":{},\"next_seqs\":{\"LAT\":9},\"schema_version\":2}' > ids.json",
        &["warning alias_integrity"],
    ),
    case(
        "ids.json would give a number twice",
        "sed -i 's/\"LAT\": 2/\"LAT\": 1/' ids.json",
        &["warning alias_integrity"],
    ),
    case(
        "git has merged a line twice",
        "tail -n1 events/T.jsonl > l && cat l >> events/T.jsonl",
        &["warning duplicate_event", "warning snapshot_drift"],
    ),
    case(
        "conflict markers in a log",
        "sed -i '2i<<<<<<< HEAD' events/T.jsonl",
        &["error jsonl_parse"],
    ),
    Case {
        name: "two events with one ID",
        broken: "tail -n1 events/T.jsonl | sed s/Hello/Other/ > l && cat l >> events/T.jsonl",
        found: &["warning duplicate_event", "warning snapshot_drift"],
        stays: &["warning duplicate_event"],
        archived: false,
    },
    case(
        "a fresh clone lacks empty directories",
        "rm -r archive artifacts/payload locks",
        &["warning missing_directory"],
    ),
    case(
        "a temporary file was left",
        "touch -d '2 hours ago' tasks/.tmp.abcdefgh",
        &["warning leftover"],
    ),
    case("the first line of the log is gone", "sed -i 1d events/T.jsonl", &["error missing_log"]),
    Case {
        name: "the log is gone",
        broken: "rm events/T.jsonl",
        found: &["error missing_log"],
        stays: &["error missing_log"],
        archived: false,
    },
];

#[test]
fn every_row_of_the_crash_matrix() {
    for case in CASES {
        check(case);
    }
}

#[track_caller]
fn check(case: &Case) {
    let sandbox = case.set_up();
    let before = ids(&sandbox);
    let unchanged = sandbox.tree();
    let looked = doctor(&sandbox, &[]);
    let errors = case.found.iter().filter(|found| found.starts_with("error")).count();
    assert_eq!(findings(&looked), case.found, "{}: {looked}", case.name);
    assert_eq!(looked.code, Some(i32::from(errors > 0)), "{}", case.name);
    assert_eq!(looked.data()["summary"]["errors"], errors);
    sandbox.assert_unchanged(&unchanged);

    let fixed = doctor(&sandbox, &["--fix"]);
    assert_eq!(findings(&fixed), case.stays, "{}: {fixed}", case.name);
    assert_eq!(
        fixed.code,
        Some(i32::from(case.stays.iter().any(|found| found.starts_with("error"))))
    );
    assert_eq!(findings(&doctor(&sandbox, &[])), case.stays, "{}", case.name);
    assert!(ids(&sandbox).is_superset(&before), "no event is lost: {}", case.name);
    if case.stays.iter().any(|stays| stays.starts_with("error")) {
        return;
    }
    if case.archived {
        sandbox.lattice(["unarchive", "LAT-1", "--actor", ACTOR]).run().ok();
    }
    sandbox.lattice(["comment", "LAT-1", "More", "--actor", ACTOR]).run().ok();
    let snapshot = fs::read(path(&sandbox, "tasks/T.json")).unwrap();
    sandbox.lattice(["rebuild", "--all"]).run().ok();
    assert_eq!(fs::read(path(&sandbox, "tasks/T.json")).unwrap(), snapshot, "{}", case.name);
    assert!(ids(&sandbox).is_superset(&before), "{}", case.name);
    assert_eq!(findings(&doctor(&sandbox, &[])), case.stays, "{}", case.name);
    assert!(sandbox.create("Next").starts_with("task_"));
}

/// The same states, healed by an ordinary write instead.
#[test]
fn a_write_on_wreckage_loses_nothing() {
    for case in CASES.iter().filter(|case| case.stays.is_empty() && !case.archived) {
        let sandbox = case.set_up();
        let before = ids(&sandbox);
        let task = sandbox.task.as_str();
        let written = sandbox.lattice(["comment", task, "More", "--actor", ACTOR]).run();
        // A log that begins in the archive and goes on outside of it may count as archived.
        let may_be_refused = ["warning task_place", "error missing_log"];
        let is_fine = !may_be_refused.iter().any(|found| case.found.contains(found));
        assert!(written.code == Some(0) || !is_fine, "{written}");
        sandbox.lattice(["doctor", "--fix"]).run().ok();
        assert!(ids(&sandbox).is_superset(&before), "{}", case.name);
        assert_eq!(findings(&doctor(&sandbox, &[])), [""; 0], "{}", case.name);
    }
}

#[test]
fn the_answer_for_people() {
    let sandbox = project();
    sandbox.sh("rm .lattice/late .lattice/archived");
    let fine = sandbox.lattice(["doctor"]).run().ok().silent();
    assert!(
        fine.stdout.starts_with("Checking 1 task, 2 events, 0 artifacts...\n\u{2713} "),
        "{fine}"
    );
    assert!(fine.stdout.ends_with("\n\nNo issues found.\n"), "{fine}");
    sandbox.sh(&format!(
        "cd .lattice && echo '{{x' >> events/{0}.jsonl && rm tasks/{0}.json",
        sandbox.task
    ));
    let found = sandbox.lattice(["doctor"]).run().exits(1).silent();
    assert!(found.stdout.contains("\n\u{26a0} line 3 of events/task_"), "{found}");
    assert!(
        found.stdout.ends_with(
            "\n\n1 warning and 1 error found. lattice doctor --fix repairs what it can.\n"
        ),
        "{found}"
    );
    let fixed = sandbox.lattice(["doctor", "--fix"]).run().ok().silent();
    assert!(fixed.stdout.contains("is no event (fixed)\n"), "{fixed}");
    assert!(fixed.stdout.ends_with("\n\n2 issues fixed; no others found.\n"), "{fixed}");
    let torn = fs::read_dir(sandbox.lattice_dir().join("logs/torn")).unwrap().next().unwrap();
    assert_eq!(fs::read_to_string(torn.unwrap().path()).unwrap(), "{x\n");
}

#[test]
fn links_and_artifacts_that_lead_nowhere_are_named() {
    let sandbox = project();
    let link = |target: &str| {
        json!({"actor": ACTOR, "data": {"type": "blocks", "target_task_id": target}, "id": format!("ev_{target}"),
            "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "relationship_added"})
    };
    let artifact = json!({"actor": ACTOR, "data": {"artifact_id": "art_01KA00000000000000000000Z9"}, "id": "ev_x",
        "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "artifact_attached"});
    let log = fs::read_to_string(path(&sandbox, "events/T.jsonl")).unwrap();
    let nowhere = "task_01KA00000000000000000000Z9";
    let text = format!("{log}{}\n{}\n{artifact}\n", link(&sandbox.task), link(nowhere));
    fs::write(path(&sandbox, "events/T.jsonl"), text).unwrap();
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok();
    sandbox.sh("rm .lattice/late .lattice/archived");
    let expected = ["warning missing_artifact", "warning missing_reference", "warning self_link"];
    assert_eq!(findings(&doctor(&sandbox, &["--fix"]).ok()), expected);
}

#[test]
fn two_tasks_with_one_short_id() {
    let sandbox = Sandbox::without_git();
    let second = sandbox.create("Second");
    let log = sandbox.lattice_dir().join(format!("events/{second}.jsonl"));
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("LAT-2", "LAT-1")).unwrap();
    sandbox.lattice(["rebuild", "--all"]).run().ok();
    let found = doctor(&sandbox, &["--fix"]).exits(1);
    assert_eq!(findings(&found), ["error alias_integrity"], "{found}");
    let given = sandbox.lattice(["backfill-ids"]).run().ok();
    assert_eq!(given.stdout, "Assigned LAT-3 to 1 existing task.\n");
    assert_eq!(findings(&doctor(&sandbox, &[]).ok()), [""; 0]);
    let shown = sandbox.lattice(["show", "LAT-3", "--json"]).run().ok().data();
    assert_eq!(shown["id"], second, "the older one keeps its short ID");
}
