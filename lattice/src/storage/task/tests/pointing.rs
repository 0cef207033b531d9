//! Who points at a task, searched for and remembered.

use std::time::{Duration, SystemTime};

use super::super::pointing::MANY;
use super::*;

/// So many tasks that it is remembered what they say.
fn many() -> (Project, TaskId, Vec<TaskId>) {
    let project = project();
    let (target, first) = (project.create(&new_task()), project.create(&new_task()));
    let (log, snapshot) = (file(project.layout.log(&first)), file(project.layout.snapshot(&first)));
    let mut others = vec![first.clone()];
    for _ in 0..MANY {
        let other = TaskId::generate();
        let renamed = |text: &str| text.replace(first.as_str(), other.as_str());
        fs_err::write(project.layout.log(&other), renamed(&log)).unwrap();
        fs_err::write(project.layout.snapshot(&other), renamed(&snapshot)).unwrap();
        others.push(other);
    }
    (project, target, others)
}

fn link(project: &Project, source: &TaskId, target: &TaskId) {
    let event = Author::new("human:ana").event(
        "relationship_added",
        source,
        "2026-03-01T10:00:00Z".to_owned(),
        json!({"type": "blocks", "target_task_id": target}),
    );
    let mut txn = TaskTxn::begin(&project.layout, source).unwrap();
    txn.append(&event).unwrap();
    txn.write_snapshot().unwrap();
}

/// As after a while in which nobody writes.
fn settle(layout: &Layout) {
    for dir in [layout.tasks(), layout.events(), layout.archive_tasks(), layout.archive_events()] {
        let long_ago = SystemTime::now() - Duration::from_mins(1);
        fs_err::File::open(dir).unwrap().set_modified(long_ago).unwrap();
    }
}

fn pointing(project: &Project, target: &TaskId) -> Vec<String> {
    let found = read_pointing(&project.layout, target);
    found.iter().map(|task| task.id().to_owned()).collect()
}

#[test]
fn what_is_remembered_is_what_a_search_would_find() {
    let (project, target, others) = many();
    let ids = |tasks: &[&TaskId]| -> Vec<String> {
        let mut ids: Vec<_> = tasks.iter().map(ToString::to_string).collect();
        ids.sort();
        ids
    };
    link(&project, &others[7], &target);
    assert_eq!(pointing(&project, &target), ids(&[&others[7]]));
    assert!(!project.layout.links().exists(), "a write of just now may not be the last");

    settle(&project.layout);
    assert_eq!(pointing(&project, &target), ids(&[&others[7]]));
    assert!(project.layout.links().exists());
    // It is taken at its word, so that what follows speaks of it and not of a search.
    let text = file(project.layout.links());
    let other = text.replace(others[7].as_str(), others[8].as_str());
    link(&project, &others[8], &target);
    settle(&project.layout);
    assert_eq!(pointing(&project, &target), ids(&[&others[7], &others[8]]), "found anew");
    fs_err::write(project.layout.links(), other).unwrap();
    assert_eq!(pointing(&project, &target), ids(&[&others[7], &others[8]]), "of another time");

    // Every kind of write is noticed, also one that only this directory shows.
    settle(&project.layout);
    assert_eq!(pointing(&project, &target).len(), 2);
    project.archive_by_hand(&others[8]);
    fs_err::remove_file(project.layout.snapshot(&others[7])).unwrap();
    fs_err::remove_file(project.layout.log(&others[7])).unwrap();
    assert_eq!(pointing(&project, &target), ids(&[&others[8]]));
}

#[test]
fn an_answer_comes_from_what_is_remembered() {
    let (project, target, others) = many();
    settle(&project.layout);
    assert!(pointing(&project, &target).is_empty());
    let text = file(project.layout.links());
    let link_of = format!("[{{\"source\":\"{}\",\"target\":\"{target}\"}}]", others[3]);
    fs_err::write(project.layout.links(), text.replace("[]", &link_of)).unwrap();
    assert_eq!(pointing(&project, &target), [others[3].as_str()], "nobody has searched");
    fs_err::write(project.layout.links(), "{").unwrap();
    assert!(pointing(&project, &target).is_empty());
}

#[test]
fn a_task_without_a_whole_snapshot_is_never_remembered() {
    let (project, target, others) = many();
    link(&project, &others[1], &target);
    fs_err::write(project.layout.snapshot(&others[1]), "{").unwrap();
    settle(&project.layout);
    assert_eq!(pointing(&project, &target), [others[1].as_str()], "its log has it");
    assert!(!project.layout.links().exists());
}
