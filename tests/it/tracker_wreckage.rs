//! What crashes, git and the Python tool leave behind, and that the next write heals it.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::sandbox::{ACTOR, Sandbox};

fn log_path(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task))
}

fn append(sandbox: &Sandbox, text: &str) {
    let mut log = fs::read(log_path(sandbox)).unwrap();
    log.extend(text.as_bytes());
    fs::write(log_path(sandbox), log).unwrap();
}

fn comment(sandbox: &Sandbox) -> Value {
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", ACTOR, "--json"]).run().ok().data()
}

#[test]
fn a_torn_last_line_is_moved_aside() {
    let sandbox = Sandbox::without_git();
    append(&sandbox, "{\"actor\":\"human:ana\",\"data\":{\"bo");
    let shown = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().data();
    assert_eq!(shown["events"].as_array().unwrap().len(), 1, "a reader skips it");
    assert_eq!(comment(&sandbox)["comment_count"], 1);
    assert_eq!(sandbox.events().len(), 2);
    let names = fs::read_dir(sandbox.lattice_dir().join("events")).unwrap().count();
    assert_eq!(names, 2, "the side file is not where the Python tool scans");
}

#[test]
fn a_whole_last_line_without_its_end_is_kept() {
    let sandbox = Sandbox::without_git();
    comment(&sandbox);
    let log = fs::read_to_string(log_path(&sandbox)).unwrap();
    fs::write(log_path(&sandbox), log.trim_end()).unwrap();
    assert_eq!(comment(&sandbox)["comment_count"], 2);
    assert_eq!(sandbox.events().len(), 3);
}

#[test]
fn an_old_snapshot_decides_nothing() {
    let sandbox = Sandbox::without_git();
    let path = sandbox.lattice_dir().join(format!("tasks/{}.json", sandbox.task));
    let old = fs::read(&path).unwrap();
    comment(&sandbox);
    fs::write(&path, old).unwrap();
    assert_eq!(comment(&sandbox)["comment_count"], 2);
    fs::remove_file(&path).unwrap();
    assert_eq!(comment(&sandbox)["comment_count"], 3);
    assert!(path.exists());
}

#[test]
fn what_strict_json_refuses_is_read_and_left_as_it_is() {
    let sandbox = Sandbox::without_git();
    let odd = "{\"actor\":{\"base_name\":\"Ana\",\"model\":\"m\",\"name\":\"Ana-1\",\"serial\":1,\"session\":\"sess_x\"},\
               \"data\":{\"big\":123456789012345678901234567890,\"v\":NaN,\"w\":-Infinity,\"z\":\"\\udcff\"},\
               \"id\":\"ev_01JABCDEFGHJKMNPQRSTVWXYZ0\",\"schema_version\":1,\"task_id\":\"T\",\
               \"ts\":\"2026-01-01T00:00:00Z\",\"type\":\"x_odd\"}\n";
    append(&sandbox, odd);
    assert_eq!(comment(&sandbox)["comment_count"], 1);
    let log = fs::read_to_string(log_path(&sandbox)).unwrap();
    assert_eq!(log.lines().nth(1).map(|line| format!("{line}\n")).as_deref(), Some(odd));
    assert_eq!(log.lines().count(), 3);
}

#[test]
fn unknown_keys_of_a_snapshot_and_of_the_config_survive() {
    let sandbox = Sandbox::without_git();
    let path = sandbox.lattice_dir().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["x_mine"] = json!({"a": [1.0, 1e-7]});
    fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    let before = fs::read(&path).unwrap();
    sandbox.create("Another");
    comment(&sandbox);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_fresh_clone_without_its_empty_directories_works() {
    let sandbox = Sandbox::new();
    sandbox.sh("git clone -q . ../clone && cp .git/config ../clone/.git/config");
    let clone = sandbox.base.join("clone");
    assert!(!clone.join(".lattice/artifacts").exists() && !clone.join(".lattice/locks").exists());
    for arguments in
        [&["create", "New"][..], &["comment", "LAT-1", "Hi"], &["attach", "LAT-1", "--inline", "x"]]
    {
        let call = arguments.iter().fold(sandbox.lattice([arguments[0]]), |call, _| call);
        let call = arguments[1..].iter().fold(call, |call, argument| call.arg(argument));
        call.arg("--actor").arg(ACTOR).current_dir(&clone).run().ok();
    }
}

#[test]
fn an_unreadable_ids_file_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::without_git();
    fs::write(sandbox.lattice_dir().join("ids.json"), "{torn").unwrap();
    let call = sandbox.lattice(["create", "Second", "--actor", ACTOR, "--json"]).run();
    // Refused, or rebuilt from the tasks: in no case may the first number be given out again.
    if call.code == Some(0) {
        assert_eq!(call.data()["short_id"], "LAT-2");
    } else {
        assert_eq!(fs::read(sandbox.lattice_dir().join("ids.json")).unwrap(), b"{torn");
    }
}

#[test]
fn a_task_in_the_archive_and_outside_is_not_written_twice() {
    let sandbox = Sandbox::without_git();
    let task = &sandbox.task;
    sandbox.sh(&format!("cd .lattice && cp events/{task}.jsonl archive/events/ && cp tasks/{task}.json archive/tasks/"));
    let before = fs::read(log_path(&sandbox)).unwrap();
    sandbox.lattice(["comment", "LAT-1", "Hello", "--actor", ACTOR]).run();
    assert!(fs::read(log_path(&sandbox)).unwrap().starts_with(&before), "no history is replaced");
}
