//! `rebuild`, `backfill-ids`, `set-project-code`: everything that is only a copy comes back from the logs.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::tree::Tree;

fn read(sandbox: &Sandbox, place: &str) -> String {
    fs::read_to_string(sandbox.lattice_dir().join(place)).unwrap()
}

/// Three tasks, the last of them archived, with comments.
fn project() -> (Sandbox, [String; 3]) {
    let sandbox = Sandbox::without_git();
    let tasks = [sandbox.task.clone(), sandbox.create("Second"), sandbox.create("Third")];
    for task in &tasks {
        sandbox.lattice(["comment", task, "Hello", "--actor", ACTOR]).run().ok();
    }
    sandbox.lattice(["archive", "LAT-3", "--actor", ACTOR]).run().ok();
    (sandbox, tasks)
}

#[test]
fn all_copies_come_back() {
    let (sandbox, [first, ..]) = project();
    let without = [".lattice/locks", ".lattice/runs"];
    let before = Tree::of(&sandbox.project, &without);
    sandbox.sh("cd .lattice && rm -r tasks archive/tasks ids.json events/_lifecycle.jsonl");
    let rebuilt = sandbox.lattice(["rebuild", "--all"]).run().ok().silent();
    rebuilt.stdout("Rebuilt 3 tasks, regenerated lifecycle log\n");
    let mut changed = before.differences(&Tree::of(&sandbox.project, &without));
    // Of the same second are sorted by their IDs, not by the order in which they came.
    changed.retain(|path| !path.ends_with("_lifecycle.jsonl"));
    assert!(changed.is_empty(), "{changed:#?}");
    let lifecycle = read(&sandbox, "events/_lifecycle.jsonl");
    assert_eq!(lifecycle.lines().count(), 4);
    let data = sandbox.lattice(["rebuild", "--all", "--json"]).run().ok().data();
    assert_eq!(
        (&data["global_log_rebuilt"], &data["rebuilt_resources"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(data["rebuilt_tasks"].as_array().unwrap().len(), 3);
    assert_eq!(read(&sandbox, "events/_lifecycle.jsonl"), lifecycle);
    let data = sandbox.lattice(["rebuild", "lat-1", "--json"]).run().ok().data();
    assert_eq!(data, json!({"global_log_rebuilt": false, "rebuilt_tasks": [first]}));
}

#[test]
fn unknown_keys_go() {
    let (sandbox, [first, ..]) = project();
    let path = sandbox.lattice_dir().join(format!("tasks/{first}.json"));
    let before = fs::read_to_string(&path).unwrap();
    let mut snapshot: Value = serde_json::from_str(&before).unwrap();
    snapshot["artifact_refs"] = json!([]);
    snapshot["active_processes"] = json!([{"process_type": "Ghost"}]);
    fs::write(&path, snapshot.to_string()).unwrap();
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok().stdout("Rebuilt <task1>\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn one_bad_task_stops_nothing() {
    let (sandbox, [first, second, _]) = project();
    sandbox.sh(&format!("cd .lattice && rm -r tasks && sed -i 1d events/{first}.jsonl"));
    let failed = sandbox.lattice(["rebuild", "--all", "--json"]).run().exits(1);
    let answer = failed.json();
    assert_eq!(answer["error"]["code"], "REBUILD_ERROR", "{failed}");
    assert_eq!(answer["data"]["failed"][0]["task_id"], json!(first), "{failed}");
    assert_eq!(answer["data"]["rebuilt_tasks"].as_array().unwrap().len(), 2, "{failed}");
    assert!(sandbox.lattice_dir().join(format!("tasks/{second}.json")).exists());
    let kept = read(&sandbox, "events/_lifecycle.jsonl");
    assert!(kept.contains(&first), "the only copy of its beginning stays");
    let failed = sandbox.lattice(["rebuild", "--all"]).run().exits(1);
    assert!(failed.stderr.contains(&format!("  Failed {first}: ")), "{failed}");
    sandbox.lattice(["rebuild", "LAT-1", "--json"]).run().refused(1, "NOT_FOUND");
    sandbox.lattice(["rebuild", "LAT-9", "--json"]).run().refused(1, "NOT_FOUND");
    sandbox.lattice(["rebuild"]).run().exits(2);
}

#[test]
fn who_reads_a_log_names_what_is_broken_in_it() {
    let (sandbox, [first, ..]) = project();
    sandbox.sh(&format!("printf '{{}}\\nno event\\n[1]\\n' >> .lattice/events/{first}.jsonl"));
    let warning = "LAT-1: 2 lines of its log are no events, which `lattice doctor` names";
    for command in [&["show", "LAT-1"][..], &["rebuild", "LAT-1"], &["rebuild", "--all"]] {
        let told = sandbox.lattice(command.iter().copied()).run().ok();
        assert_eq!(told.stderr, format!("Warning: {warning}\n"));
        let told = sandbox.lattice(command.iter().copied()).arg("--json").run().ok();
        assert_eq!(told.json()["warnings"], json!([warning]));
    }
    let told = sandbox.lattice(["show", "LAT-2"]).run().ok();
    assert_eq!(told.stderr, "");
}

#[test]
fn a_broken_line_is_passed_over_and_a_torn_one_moved() {
    let (sandbox, [first, ..]) = project();
    sandbox.sh(&format!("cd .lattice && sed -i '2i{{broken' events/{first}.jsonl && printf '{{to' >> events/{first}.jsonl"));
    let before = read(&sandbox, &format!("tasks/{first}.json"));
    sandbox.lattice(["rebuild", "--all"]).run().ok();
    assert_eq!(read(&sandbox, &format!("tasks/{first}.json")), before);
    assert!(read(&sandbox, &format!("events/{first}.jsonl")).contains("{broken\n"));
}

#[test]
fn open_runs_are_neither_forgotten_nor_brought_back() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    sandbox.lattice(["rebuild", "--all"]).run().ok();
    let processes = || {
        let text = read(&sandbox, &format!("tasks/{}.json", sandbox.task));
        serde_json::from_str::<Value>(&text).unwrap()["active_processes"].clone()
    };
    assert_eq!(processes()[0]["process_type"], "Work");
    run.lose_supervisors(&main);
    sandbox.lattice(["rebuild", "LAT-1"]).run().ok();
    assert_eq!((processes(), &run.ended()["type"]), (Value::Null, &json!("process_failed")));
    sandbox.assert_clean();
}

#[test]
fn it_waits_for_the_locks_of_a_writer() {
    let (sandbox, [first, ..]) = project();
    let lock = sandbox.lattice_dir().join(format!("locks/events_{first}.lock"));
    let held = format!("lock={}", lock.display());
    let holder = sandbox.start_fake(&[&held, "connect=holder", "wait"]);
    let peer = sandbox.socket.peer("holder");
    let rebuilding = sandbox.lattice(["rebuild", "LAT-1"]).start();
    assert!(!rebuilding.process().dies_within(std::time::Duration::from_millis(300)));
    peer.tell("exit 0");
    rebuilding.finish().ok();
    holder.finish().ok();
}

#[test]
fn codes_and_short_ids_for_old_tasks() {
    let sandbox = Sandbox::empty();
    sandbox.lattice(["init", "--actor", ACTOR]).run().ok();
    let (first, second) = (sandbox.create("First"), sandbox.create("Second"));
    sandbox.lattice(["archive", &first, "--actor", ACTOR]).run().ok();
    sandbox.configure("x_mine", json!({"b": 1.5, "a": []}));
    let before = sandbox.tree();
    sandbox.lattice(["backfill-ids", "--json"]).run().refused(1, "VALIDATION_ERROR");
    sandbox.lattice(["set-subproject-code", "F", "--json"]).run().refused(1, "VALIDATION_ERROR");
    sandbox.lattice(["set-project-code", "A1", "--json"]).run().refused(1, "VALIDATION_ERROR");
    sandbox.assert_unchanged(&before);

    sandbox.lattice(["set-project-code", "qx"]).run().ok().stdout("Project code set to QX.\n");
    sandbox.lattice(["set-project-code", "QX"]).run().ok().stdout("Project code is already QX.\n");
    sandbox.lattice(["set-project-code", "ZZ", "--json"]).run().refused(1, "VALIDATION_ERROR");
    assert!(
        read(&sandbox, "config.json")
            .contains("\"x_mine\": {\n    \"a\": [],\n    \"b\": 1.5\n  }")
    );
    let empty = "{\n  \"map\": {},\n  \"next_seqs\": {},\n  \"schema_version\": 2\n}\n";
    assert_eq!(read(&sandbox, "ids.json"), empty);

    sandbox.configure("hooks", json!({"post_event": "touch heard"}));
    let data = sandbox.lattice(["backfill-ids", "--json"]).run().ok().data();
    assert_eq!(data, json!({"assigned": 2, "first": "QX-1", "last": "QX-2"}));
    assert!(!sandbox.project.join("heard").exists(), "no hook");
    let data = sandbox.lattice(["backfill-ids", "--json"]).run().ok().data();
    assert_eq!(data, json!({"assigned": 0, "message": "All tasks already have short IDs"}));
    let log = read(&sandbox, &format!("events/{second}.jsonl"));
    let event: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&event["type"], &event["data"]["short_id"]),
        (&json!("task_short_id_assigned"), &json!("QX-2"))
    );
    assert_eq!(event["actor"], "agent:lattice-migration");
    assert!(
        read(&sandbox, &format!("archive/tasks/{first}.json")).contains("\"short_id\": \"QX-1\"")
    );
    sandbox.lattice(["set-subproject-code", "f"]).run().ok().stdout("Subproject code set to F.\n");
    let third = sandbox.lattice(["create", "Third", "--actor", ACTOR, "--quiet"]).run().ok();
    assert_eq!(third.stdout, "QX-F-1\n");
    let found = sandbox.lattice(["doctor", "--json"]).run().ok().data();
    assert_eq!(found["findings"], json!([]));
    sandbox.lattice(["show", "qx-1"]).run().ok();
}

#[test]
fn a_lost_index_is_never_taken_for_an_empty_one() {
    let sandbox = Sandbox::without_git();
    sandbox.sh("rm .lattice/ids.json");
    sandbox.lattice(["set-project-code", "LAT"]).run().ok();
    sandbox.create("Second");
    sandbox.lattice(["show", "LAT-2"]).run().ok();
    sandbox.sh("rm .lattice/ids.json");
    sandbox.lattice(["init"]).run().ok();
    sandbox.create("Third");
    sandbox.lattice(["show", "LAT-3"]).run().ok();
}
