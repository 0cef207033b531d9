//! Creating tasks, also twice and after a crash.

use super::*;

#[test]
fn creating_writes_log_copy_snapshot_index_and_plan() {
    let project = project();
    let task = project.create(&NewTask {
        description: Some("why".to_owned()),
        tags: vec!["a".to_owned()],
        ..new_task()
    });
    let line = file(project.layout.log(&task));
    assert_eq!(line.lines().count(), 1);
    assert_eq!(file(project.layout.lifecycle_log()), line);
    let (events, snapshot, archived) = read_task(&project.layout, &task).unwrap();
    assert_eq!((events.len(), archived, snapshot.short_id()), (1, false, Some("QX-1")));
    assert_eq!(file(project.layout.snapshot(&task)), snapshot.file_text());
    assert_eq!(file(project.layout.plan(&task)), "# QX-1: t\n\nwhy\n");
    assert_eq!(resolve_task(&project.layout, "qx-1").unwrap(), task);
    assert_eq!(project.create(&new_task()).as_str().len(), 31);
    assert!(resolve_task(&project.layout, "QX-2").is_ok());
}

#[test]
fn creating_again_is_success_or_a_conflict() {
    let project = project();
    let id = TaskId::generate();
    let new = NewTask { id: Some(id.clone()), ..new_task() };
    let again = |new: &NewTask| {
        create_task(&project.layout, &project.config, new, &Author::new("human:bob"))
    };
    assert!(again(&new).unwrap().event.is_some());
    let before = file(project.layout.ids());
    let Created { snapshot, event, .. } = again(&new).unwrap();
    assert_eq!((snapshot.id(), file(project.layout.ids())), (id.as_str(), before));
    assert!(event.is_none());
    for other in [
        NewTask { title: "u".to_owned(), ..new.clone() },
        NewTask { tags: vec!["a".to_owned()], ..new.clone() },
        NewTask { urgency: Some("high".to_owned()), ..new.clone() },
    ] {
        assert_eq!(again(&other).unwrap_err().code(), Code::Conflict);
    }
    project.archive_by_hand(&id);
    assert!(again(&new).unwrap().event.is_none());
}

#[test]
fn creating_finishes_what_a_crash_left() {
    let project = project();
    let id = TaskId::generate();
    let new = NewTask { id: Some(id.clone()), ..new_task() };
    fs_err::write(project.layout.log(&id), "{\"id\":").unwrap();
    assert_eq!(project.create(&new), id);
    assert_eq!(read_task(&project.layout, &id).unwrap().0.len(), 1);
}
