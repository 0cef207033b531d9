//! Writing tasks: what is healed, what is refused, what is kept.

use super::*;

#[test]
fn appending_to_what_is_not_there_creates_nothing() {
    let project = project();
    let task = TaskId::generate();
    assert_eq!(TaskTxn::begin(&project.layout, &task).unwrap_err().code(), Code::NotFound);
    assert_eq!(read_task(&project.layout, &task).unwrap_err().code(), Code::NotFound);
    assert!(!project.layout.log(&task).exists());
    assert_eq!(fs_err::read_dir(project.layout.locks()).unwrap().count(), 0);
    fs_err::write(project.layout.log(&task), "").unwrap();
    assert_eq!(TaskTxn::begin(&project.layout, &task).unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_write_heals_log_and_snapshot() {
    let project = project();
    let task = project.create(&new_task());
    project.comment(&task, "one");
    let whole = file(project.layout.log(&task));
    fs_err::write(project.layout.log(&task), format!("{whole}{{\"torn")).unwrap();
    let stale = json!({"id": task.as_str(), "title": "stale", "mine": 1, "active_processes": [], "comment_count": 9});
    fs_err::write(project.layout.snapshot(&task), stale.to_string()).unwrap();

    project.comment(&task, "two");
    let log = file(project.layout.log(&task));
    assert!(log.starts_with(&whole) && log.lines().count() == 3 && log.ends_with('\n'));
    let torn: Vec<_> = fs_err::read_dir(project.layout.torn_tails())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!((torn.len(), file(torn[0].clone())), (1, "{\"torn".to_owned()));
    let snapshot: Value = serde_json::from_str(&file(project.layout.snapshot(&task))).unwrap();
    assert_eq!(
        (&snapshot["title"], &snapshot["comment_count"], &snapshot["mine"]),
        (&json!("t"), &json!(2), &json!(1))
    );
    assert_eq!(snapshot.get("active_processes"), None);
}

#[test]
fn directories_that_git_took_away_are_made_again() {
    let project = project();
    let task = project.create(&new_task());
    fs_err::remove_dir_all(project.layout.tasks()).unwrap();
    project.comment(&task, "one");
    assert!(file(project.layout.snapshot(&task)).contains("\"comment_count\": 1"));
    // As in a clone, which has nothing of the four that are one machine's own.
    fs_err::remove_dir_all(project.layout.locks()).unwrap();
    fs_err::remove_dir_all(project.layout.archive_tasks()).unwrap();
    project.comment(&task, "two");
    assert!(project.layout.archive_tasks().is_dir());
}

#[test]
fn an_archived_task_is_written_where_it_is() {
    let project = project();
    let task = project.create(&new_task());
    project.archive_by_hand(&task);
    project.comment(&task, "late");
    let txn = TaskTxn::begin(&project.layout, &task).unwrap();
    assert_eq!(
        (txn.place(), txn.is_archived(), bodies(txn.events())),
        (Place::Archived, true, vec!["late"])
    );
    assert!(!project.layout.log(&task).exists() && !project.layout.snapshot(&task).exists());
    assert!(file(project.layout.archived_snapshot(&task)).contains("\"comment_count\": 1"));
}

#[test]
fn two_logs_become_equal_and_lose_nothing() {
    let project = project();
    let task = project.create(&new_task());
    project.comment(&task, "one");
    // A late writer made a log of one line beside the archived one.
    project.archive_by_hand(&task);
    fs_err::write(project.layout.log(&task), comment(&task, "stray").line()).unwrap();
    let (events, _, archived) = read_task(&project.layout, &task).unwrap();
    assert_eq!((bodies(&events), archived), (vec!["one", "stray"], false));

    project.comment(&task, "two");
    let active = file(project.layout.log(&task));
    assert_eq!(active, file(project.layout.archived_log(&task)));
    assert_eq!(active.lines().count(), 4);
    assert!(file(project.layout.snapshot(&task)).contains("\"comment_count\": 3"));
}

#[test]
fn an_interrupted_archiving_counts_as_archived() {
    let project = project();
    let task = project.create(&new_task());
    let mut txn = TaskTxn::begin_lifecycle(&project.layout, &task).unwrap();
    txn.append(&Author::new("human:ana").event("task_archived", &task, "T".to_owned(), json!({})))
        .unwrap();
    drop(txn);
    fs_err::copy(project.layout.log(&task), project.layout.archived_log(&task)).unwrap();
    assert!(read_task(&project.layout, &task).unwrap().2);
    project.comment(&task, "late");
    assert!(file(project.layout.archived_snapshot(&task)).contains("\"comment_count\": 1"));
    assert_eq!(file(project.layout.log(&task)), file(project.layout.archived_log(&task)));
}

#[test]
fn life_cycle_events_are_copied_and_need_their_lock() {
    let project = project();
    let task = project.create(&new_task());
    let event = Author::new("human:ana").event("task_archived", &task, "T".to_owned(), json!({}));
    let before = file(project.layout.log(&task));
    let refused = TaskTxn::begin(&project.layout, &task).unwrap().append(&event).unwrap_err();
    assert_eq!((refused.code(), file(project.layout.log(&task))), (Code::Internal, before));
    TaskTxn::begin_lifecycle(&project.layout, &task).unwrap().append(&event).unwrap();
    assert!(file(project.layout.lifecycle_log()).ends_with(&event.line()));
}

#[test]
fn only_single_events_are_appended_raw() {
    let project = project();
    let task = project.create(&new_task());
    let mut txn = TaskTxn::begin(&project.layout, &task).unwrap();
    let odd_order = r#"{"type":"x_a", "id":"ev_1","ts":"T"}"#;
    txn.append_raw(odd_order).unwrap();
    for bad in ["", "7", "{", "{}\n{}", "{}{}"] {
        assert_eq!(txn.append_raw(bad).unwrap_err().code(), Code::Internal, "{bad}");
    }
    assert_eq!(txn.snapshot().text("last_event_id"), Some("ev_1"));
    assert!(file(project.layout.log(&task)).ends_with(&format!("\n{odd_order}\n")));
}

#[test]
fn a_log_that_is_a_link_is_refused() {
    let project = project();
    let task = project.create(&new_task());
    let elsewhere = project.layout.dir.join("elsewhere");
    fs_err::rename(project.layout.log(&task), &elsewhere).unwrap();
    fs_err::os::unix::fs::symlink(&elsewhere, project.layout.log(&task)).unwrap();
    let failure = TaskTxn::begin(&project.layout, &task).unwrap_err();
    assert_eq!(failure.code(), Code::IoError);
    assert!(failure.message().contains("not a regular file"), "{failure}");
}

#[test]
fn concurrent_writers_lose_nothing() {
    let project = project();
    let task = project.create(&new_task());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5).for_each(|_| project.comment(&task, "x")));
        }
        scope.spawn(|| (0..5).for_each(|_| drop(project.create(&new_task()))));
    });
    let (events, snapshot, _) = read_task(&project.layout, &task).unwrap();
    assert_eq!((events.len(), snapshot.get("comment_count")), (21, Some(&json!(20))));
    assert_eq!(file(project.layout.snapshot(&task)), snapshot.file_text());
    let ids: Value = serde_json::from_str(&file(project.layout.ids())).unwrap();
    assert_eq!(ids["next_seqs"]["QX"], 7);
}
