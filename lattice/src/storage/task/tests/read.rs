//! Finding and listing tasks.

use super::*;

#[test]
fn listing_survives_broken_and_missing_snapshots() {
    let project = project();
    let tasks: Vec<TaskId> = (0..4).map(|_| project.create(&new_task())).collect();
    fs_err::write(project.layout.snapshot(&tasks[0]), "{").unwrap();
    fs_err::remove_file(project.layout.snapshot(&tasks[1])).unwrap();
    project.archive_by_hand(&tasks[2]);
    fs_err::write(project.layout.tasks().join(format!("{}.json", TaskId::generate())), "{")
        .unwrap();
    fs_err::write(project.layout.tasks().join(".tmp.abcdefgh"), "{").unwrap();

    let (active, warnings) = list_snapshots(&project.layout, false);
    assert_eq!((active.len(), warnings.len()), (3, 1), "{warnings:?}");
    let (all, _) = list_snapshots(&project.layout, true);
    assert_eq!(all.iter().filter(|(_, archived)| *archived).count(), 1);
    let mut ids: Vec<_> = tasks.iter().map(TaskId::as_str).collect();
    ids.sort_unstable();
    assert_eq!(all.iter().map(|(snapshot, _)| snapshot.id()).collect::<Vec<_>>(), ids);
}

#[test]
fn task_names_are_resolved_or_refused() {
    let project = project();
    let task = project.create(&new_task());
    let code = |text: &str| resolve_task(&project.layout, text).unwrap_err().code();
    assert_eq!(resolve_task(&project.layout, task.as_str()).unwrap(), task);
    assert_eq!(
        (code("QX-9"), code("nonsense"), code("")),
        (Code::NotFound, Code::InvalidId, Code::InvalidId)
    );
    fs_err::write(project.layout.ids(), "broken").unwrap();
    assert_eq!(resolve_task(&project.layout, "QX-1").unwrap(), task, "found in the snapshots");
}

#[test]
fn open_runs_are_candidates_by_snapshot_and_facts_by_log() {
    let project = project();
    let (with, without) = (project.create(&new_task()), project.create(&new_task()));
    let start = |task: &TaskId| {
        Author::new("a:b").event(
            "process_started",
            task,
            "T".to_owned(),
            json!({"process_type": "W"}),
        )
    };
    let mut txn = TaskTxn::begin(&project.layout, &with).unwrap();
    txn.append(&start(&with)).unwrap();
    txn.write_snapshot().unwrap();
    drop(txn);
    assert_eq!(read_open_runs(&project.layout), slice::from_ref(&with));
    assert_eq!(open_runs_of(&project.layout, &with).unwrap().len(), 1);
    assert!(open_runs_of(&project.layout, &without).unwrap().is_empty());
}

#[test]
fn configuration_is_read_or_refused() {
    let project = project();
    assert_eq!(read_config(&project.layout).unwrap_err().code(), Code::NotInitialized);
    fs_err::write(project.layout.config(), "[").unwrap();
    assert_eq!(read_config(&project.layout).unwrap_err().code(), Code::ValidationError);
    fs_err::write(project.layout.config(), "{\"project_code\":\"QX\"}").unwrap();
    assert_eq!(read_config(&project.layout).unwrap().project_code(), Some("QX"));
}
