//! `archive` and `unarchive`: output, bytes, order, what is refused, and every state that a crash leaves.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::{Call, Finished};
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::SOON;

fn call(sandbox: &Sandbox, arguments: &[&str]) -> Call {
    sandbox.lattice(arguments.iter().copied().chain(["--actor", ACTOR]))
}

fn archive(sandbox: &Sandbox) -> Finished {
    call(sandbox, &["archive", "LAT-1"]).run()
}

fn unarchive(sandbox: &Sandbox) -> Finished {
    call(sandbox, &["unarchive", "LAT-1"]).run()
}

/// Files of the task below `.lattice`, sorted.
fn files(sandbox: &Sandbox) -> Vec<String> {
    let found = sandbox
        .sh(&format!("cd .lattice && find . -name '{}*' ! -path './locks/*' | sort", sandbox.task));
    found.stdout.lines().map(|line| line.replace(&sandbox.task, "T")).collect()
}

const ACTIVE: [&str; 3] = ["./events/T.jsonl", "./plans/T.md", "./tasks/T.json"];
const ARCHIVED: [&str; 3] =
    ["./archive/events/T.jsonl", "./archive/plans/T.md", "./archive/tasks/T.json"];

fn path(sandbox: &Sandbox, place: &str) -> PathBuf {
    sandbox.lattice_dir().join(place.replace('T', &sandbox.task))
}

fn read(sandbox: &Sandbox, place: &str) -> String {
    fs::read_to_string(path(sandbox, place)).unwrap()
}

fn kinds(log: &str) -> Vec<String> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// The snapshot as another `rebuild` would write it.
#[track_caller]
fn assert_replayed(sandbox: &Sandbox, snapshot: &str) {
    let before = read(sandbox, snapshot);
    sandbox.lattice(["rebuild", &sandbox.task]).run().ok();
    assert_eq!(read(sandbox, snapshot), before, "the snapshot is the replay");
}

#[test]
fn there_and_back_again() {
    let sandbox = Sandbox::without_git();
    sandbox.write(&format!(".lattice/notes/{}.md", sandbox.task), "mine\n");
    call(&sandbox, &["comment", "LAT-1", "Hello"]).run().ok();
    let before = read(&sandbox, "events/T.jsonl");
    archive(&sandbox).ok().silent().stdout("Archived task <task1>\n");
    let mut expected = ARCHIVED.to_vec();
    expected.insert(1, "./archive/notes/T.md");
    assert_eq!(files(&sandbox), expected);
    let log = read(&sandbox, "archive/events/T.jsonl");
    assert!(log.starts_with(&before) && log.lines().count() == 3, "{log}");
    let lifecycle = read(&sandbox, "events/_lifecycle.jsonl");
    assert_eq!(lifecycle.lines().last(), log.lines().last(), "the very line");
    let snapshot: Value = serde_json::from_str(&read(&sandbox, "archive/tasks/T.json")).unwrap();
    let event: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&snapshot["last_event_id"], &event["data"]), (&event["id"], &json!({})));

    call(&sandbox, &["comment", "LAT-1", "Late", "--json"]).run().refused(1, "NOT_FOUND");
    unarchive(&sandbox).ok().silent().stdout("Unarchived task <task1>\n");
    let mut expected = ACTIVE.to_vec();
    expected.insert(1, "./notes/T.md");
    assert_eq!(files(&sandbox), expected);
    let log = read(&sandbox, "events/T.jsonl");
    assert_eq!(kinds(&log), ["task_created", "comment_added", "task_archived", "task_unarchived"]);
    assert_eq!(read(&sandbox, "events/_lifecycle.jsonl").lines().count(), 3);
    call(&sandbox, &["comment", "LAT-1", "Again"]).run().ok();
    assert_replayed(&sandbox, "tasks/T.json");
}

#[test]
fn modes_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::without_git();
    fs::set_permissions(path(&sandbox, "events/T.jsonl"), PermissionsExt::from_mode(0o664))
        .unwrap();
    let mode = |place| fs::metadata(path(&sandbox, place)).unwrap().permissions().mode() & 0o777;
    archive(&sandbox).ok();
    assert_eq!((mode("archive/events/T.jsonl"), mode("archive/tasks/T.json")), (0o664, 0o600));
    unarchive(&sandbox).ok();
    assert_eq!((mode("events/T.jsonl"), mode("tasks/T.json")), (0o664, 0o600));
}

#[test]
fn the_answers_for_programs() {
    let sandbox = Sandbox::without_git();
    sandbox.create("Second");
    let event = call(&sandbox, &["archive", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(
        (&event["type"], &event["task_id"]),
        (&json!("task_archived"), &json!(sandbox.task))
    );
    call(&sandbox, &["archive", "LAT-1", "--json"]).run().refused(1, "CONFLICT");
    call(&sandbox, &["unarchive", "LAT-2", "--json"]).run().refused(1, "CONFLICT");
    call(&sandbox, &["archive", "--json"]).run().refused(1, "VALIDATION_ERROR");
    call(&sandbox, &["archive", "LAT-9", "--json"]).run().refused(1, "NOT_FOUND");
    call(&sandbox, &["archive", "x", "--json"]).run().refused(1, "INVALID_ID");
    sandbox.lattice(["archive", "LAT-2", "--json"]).run().refused(1, "MISSING_ACTOR");
    call(&sandbox, &["unarchive", "LAT-1", "--quiet"]).run().ok().stdout("<task1>\n");

    let both = call(&sandbox, &["archive", "LAT-1,LAT-2", "--json"]).run().ok();
    let envelope: Value = serde_json::from_str(&both.stdout).unwrap();
    assert!(both.stdout.ends_with("}\n") && !both.stdout.ends_with("\n\n"), "{both}");
    assert_eq!(
        envelope,
        json!({"ok": true, "data": {"archived": ["LAT-1", "LAT-2"], "failed": []}})
    );
    let some = call(&sandbox, &["unarchive", "LAT-9", "lat-2", "--json"]).run().exits(1);
    let envelope: Value = serde_json::from_str(&some.stdout).unwrap();
    assert_eq!(
        (&envelope["ok"], &envelope["data"]["unarchived"]),
        (&json!(false), &json!(["LAT-2"]))
    );
    assert_eq!(envelope["data"]["failed"][0]["id"], "LAT-9");
    let some = call(&sandbox, &["archive", "LAT-2", "LAT-1"]).run().exits(1);
    assert_eq!(some.stdout, "Archived 1 task(s): LAT-2\n");
    assert!(some.stderr.contains("  Failed LAT-1: task "), "{some}");
    assert!(some.stderr.contains("\n  hint: "), "{some}");
}

#[test]
fn stale_is_done_before_yesterday() {
    let sandbox = Sandbox::without_git();
    let old = sandbox.create("Old");
    let line = json!({"actor": ACTOR, "data": {"from": "backlog", "to": "done"}, "id": "ev_01KA00000000000000000000D1",
        "schema_version": 1, "task_id": old, "ts": "2026-01-01T00:00:00Z", "type": "status_changed"});
    let log = sandbox.lattice_dir().join(format!("events/{old}.jsonl"));
    fs::write(&log, format!("{}{line}\n", fs::read_to_string(&log).unwrap())).unwrap();
    sandbox.lattice(["rebuild", "LAT-2"]).run().ok();
    let before = sandbox.tree();
    call(&sandbox, &["archive", "LAT-2", "--stale"]).run().exits(2);
    sandbox.assert_unchanged(&before);
    call(&sandbox, &["archive", "--stale"]).run().ok().stdout("Archived 1 task(s): LAT-2\n");
    call(&sandbox, &["archive", "--stale"]).run().ok().stdout("No stale done tasks found.\n");
    assert_eq!(files(&sandbox), ACTIVE);
}

#[test]
fn hooks_hear_of_it() {
    let sandbox = Sandbox::without_git();
    sandbox.configure("hooks", json!({"post_event": "echo $LATTICE_EVENT_TYPE >> heard"}));
    archive(&sandbox).ok();
    archive(&sandbox).exits(1);
    unarchive(&sandbox).ok();
    let heard = fs::read_to_string(sandbox.project.join("heard")).unwrap();
    assert_eq!(heard, "task_archived\ntask_unarchived\n");
}

#[test]
fn a_task_with_an_open_run_stays_unless_forced() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let before = read(&sandbox, "events/T.jsonl");
    let refused = call(&sandbox, &["archive", "LAT-1", "--json"]).run().refused(3, "STILL_RUNNING");
    assert!(refused["hint"].as_str().unwrap().contains("--force"), "{refused}");
    assert_eq!(read(&sandbox, "events/T.jsonl"), before);
    call(&sandbox, &["archive", "LAT-1", "--force"]).run().ok();
    main.wait_dead(SOON);
    let log = read(&sandbox, "archive/events/T.jsonl");
    assert_eq!(kinds(&log), ["task_created", "process_started", "process_failed", "task_archived"]);
    assert!(log.contains("\"reason\":\"stopped\""), "{log}");
    assert_eq!(files(&sandbox), ARCHIVED);
    sandbox.assert_clean();
}

#[test]
fn a_run_cannot_archive_its_own_task() {
    let sandbox = Sandbox::new();
    let archive = "lattice archive $LATTICE_TASK_ID --force --json > answer; exit 0";
    sandbox.worker("Suicide", json!({"command": archive}));
    let run = sandbox.start("Suicide");
    assert_eq!(run.ended()["type"], "process_completed");
    let answer = fs::read_to_string(sandbox.project.join("answer")).unwrap();
    assert!(answer.contains("VALIDATION_ERROR"), "{answer}");
    assert_eq!(files(&sandbox), ACTIVE);
    fs::remove_file(sandbox.project.join("answer")).unwrap();
    sandbox.assert_clean();
}

/// A cut-off `archive` as a script in `.lattice` leaves it, T being the task.
#[track_caller]
fn check_cut_off(script: &str, heal: impl Fn(&Sandbox), expected: &[&str]) {
    let sandbox = Sandbox::without_git();
    call(&sandbox, &["comment", "LAT-1", "Hello"]).run().ok();
    let line = json!({"actor": ACTOR, "data": {}, "id": "ev_01KA00000000000000000000A1", "schema_version": 1,
        "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "task_archived"});
    fs::write(sandbox.lattice_dir().join("line"), format!("{line}\n")).unwrap();
    let script = script.replace("T.", &format!("{}.", sandbox.task));
    sandbox.sh(&format!("cd .lattice && {script} && rm line"));
    heal(&sandbox);
    assert_eq!(files(&sandbox), expected, "after {script}");
    let log = if expected == ARCHIVED { "archive/events/T.jsonl" } else { "events/T.jsonl" };
    let kinds = kinds(&read(&sandbox, log));
    assert_eq!(kinds[..2], ["task_created", "comment_added"]);
    assert_eq!(kinds.iter().filter(|kind| *kind == "task_archived").count(), 1, "{kinds:?}");
    assert_replayed(
        &sandbox,
        if expected == ARCHIVED { "archive/tasks/T.json" } else { "tasks/T.json" },
    );
    sandbox.lattice(["doctor"]).run().ok();
}

/// Our own order and Python's: event; event and copy; and so on.
const CUT_OFF: [&str; 7] = [
    "cat line >> events/T.jsonl && cat line >> events/_lifecycle.jsonl",
    "cat line >> events/T.jsonl && cp events/T.jsonl archive/events/",
    "cat line >> events/T.jsonl && cp events/T.jsonl archive/events/ && cp tasks/T.json archive/tasks/",
    "cat line >> events/T.jsonl && cp events/T.jsonl archive/events/ && mv tasks/T.json archive/tasks/",
    "cat line >> events/T.jsonl && mv events/T.jsonl archive/events/ && mv tasks/T.json archive/tasks/",
    "cat line >> events/T.jsonl && mv tasks/T.json archive/tasks/",
    "cat line >> events/T.jsonl && cp tasks/T.json archive/tasks/",
];

#[test]
fn the_next_archive_goes_on_where_one_was_cut_off() {
    for state in CUT_OFF {
        check_cut_off(state, |sandbox| drop(archive(sandbox).ok()), &ARCHIVED);
    }
}

#[test]
fn the_doctor_finishes_what_was_cut_off() {
    let fix = |sandbox: &Sandbox| drop(sandbox.lattice(["doctor", "--fix"]).run().ok());
    for state in CUT_OFF {
        check_cut_off(state, fix, &ARCHIVED);
    }
}

#[test]
fn unarchive_takes_back_what_was_cut_off() {
    for state in CUT_OFF {
        check_cut_off(state, |sandbox| drop(unarchive(sandbox).ok()), &ACTIVE);
    }
}

#[test]
fn an_unarchive_that_was_cut_off_is_finished() {
    let states = [
        "cat line >> archive/events/T.jsonl",
        "cat line >> archive/events/T.jsonl && cp archive/events/T.jsonl events/",
        "cat line >> archive/events/T.jsonl && cp archive/events/T.jsonl events/ && cp archive/tasks/T.json tasks/",
        "cat line >> archive/events/T.jsonl && mv archive/events/T.jsonl events/",
        "cat line >> archive/events/T.jsonl && mv archive/events/T.jsonl events/ && mv archive/tasks/T.json tasks/",
    ];
    for state in states {
        let sandbox = Sandbox::without_git();
        archive(&sandbox).ok();
        let line = json!({"actor": ACTOR, "data": {}, "id": "ev_01KA00000000000000000000A1", "schema_version": 1,
            "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "task_unarchived"});
        fs::write(sandbox.lattice_dir().join("line"), format!("{line}\n")).unwrap();
        let script = state.replace("T.", &format!("{}.", sandbox.task));
        sandbox.sh(&format!("cd .lattice && {script} && rm line"));
        unarchive(&sandbox).ok();
        assert_eq!(files(&sandbox), ACTIVE, "{state}");
        let kinds = kinds(&read(&sandbox, "events/T.jsonl"));
        assert_eq!(kinds, ["task_created", "task_archived", "task_unarchived"], "{state}");
        assert_replayed(&sandbox, "tasks/T.json");
    }
}

#[test]
fn a_task_that_stayed_in_use_is_not_put_away() {
    let sandbox = Sandbox::without_git();
    let line = json!({"actor": ACTOR, "data": {}, "id": "ev_01KA00000000000000000000A1", "schema_version": 1,
        "task_id": sandbox.task, "ts": "2026-03-01T10:00:00Z", "type": "task_archived"});
    let log = read(&sandbox, "events/T.jsonl");
    fs::write(path(&sandbox, "events/T.jsonl"), format!("{log}{line}\n")).unwrap();
    call(&sandbox, &["comment", "LAT-1", "Still here"]).run().ok();
    sandbox.lattice(["doctor", "--fix"]).run().ok();
    assert_eq!(files(&sandbox), ACTIVE);
    archive(&sandbox).ok();
    assert_eq!(files(&sandbox), ARCHIVED);
}

#[test]
fn a_plan_in_the_way_is_kept() {
    let sandbox = Sandbox::without_git();
    sandbox.write(&format!(".lattice/archive/plans/{}.md", sandbox.task), "an older plan\n");
    archive(&sandbox).ok();
    assert_eq!(read(&sandbox, "archive/plans/T.md"), "# LAT-1: First task\n");
    assert_eq!(read(&sandbox, "logs/torn/T.md.0"), "an older plan\n");
}

#[test]
fn a_fresh_clone_can_archive() {
    let sandbox = Sandbox::new();
    sandbox.sh("git clone -q . ../clone && cp .git/config ../clone/.git/config");
    let clone = sandbox.base.join("clone");
    assert!(!clone.join(".lattice/archive").exists());
    call(&sandbox, &["archive", "LAT-1"]).current_dir(&clone).run().ok();
    call(&sandbox, &["unarchive", "LAT-1"]).current_dir(&clone).run().ok();
}
