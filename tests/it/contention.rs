//! Very many writers at once: everybody gets his turn, nothing is lost, and the state is what the logs say.

use fs_err as fs;
use serde_json::json;

use crate::harness::call::Running;
use crate::harness::sandbox::{ACTOR, Sandbox};

const WRITERS: usize = 16;
const EACH: usize = 5;

/// As many processes as there are writers, all at once, and again when the last of them is done.
fn write(sandbox: &Sandbox, task_of: impl Fn(usize) -> String) {
    for number in 0..EACH {
        let start = |writer| {
            let text = format!("comment {number} of {writer}");
            sandbox.lattice(["comment", &task_of(writer), &text, "--actor", ACTOR]).start()
        };
        let running: Vec<Running> = (0..WRITERS).map(start).collect();
        running.into_iter().for_each(|running| drop(running.finish().ok()));
    }
}

/// Every comment is in the log of its task and counted in its snapshot, and what is rebuilt is what was there.
#[track_caller]
fn assert_whole(sandbox: &Sandbox, tasks: &[String]) {
    let expected = WRITERS * EACH / tasks.len();
    for task in tasks {
        let shown = sandbox.lattice(["show", task, "--json"]).run().ok().data();
        let id = shown["id"].as_str().expect("an ID").to_owned();
        let log = fs::read_to_string(sandbox.lattice_dir().join(format!("events/{id}.jsonl")));
        let log = log.expect("the task has a log");
        let comments: Vec<&str> =
            log.lines().filter(|line| line.contains("comment_added")).collect();
        assert_eq!(comments.len(), expected, "{log}");
        let path = sandbox.lattice_dir().join(format!("tasks/{id}.json"));
        let snapshot = fs::read_to_string(&path).expect("a snapshot");
        assert!(snapshot.contains(&format!("\"comment_count\": {expected}")), "{snapshot}");
        sandbox.lattice(["rebuild", task]).run().ok();
        assert_eq!(fs::read_to_string(&path).expect("a snapshot"), snapshot, "replay and snapshot");
    }
    let found = sandbox.lattice(["doctor", "--json"]).run().ok().data();
    assert_eq!(found["findings"], json!([]));
}

#[test]
fn sixteen_writers_of_one_task_lose_nothing() {
    let sandbox = Sandbox::without_git();
    write(&sandbox, |_| "LAT-1".to_owned());
    assert_whole(&sandbox, &["LAT-1".to_owned()]);
}

#[test]
fn sixteen_writers_of_sixteen_tasks_lose_nothing() {
    let sandbox = Sandbox::without_git();
    (1..WRITERS).for_each(|number| drop(sandbox.create(&format!("Task {number}"))));
    let name = |writer: usize| format!("LAT-{}", writer + 1);
    write(&sandbox, name);
    assert_whole(&sandbox, &(0..WRITERS).map(name).collect::<Vec<_>>());
}
