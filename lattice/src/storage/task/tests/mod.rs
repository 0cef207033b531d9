//! A project in a temporary directory, and wreckage to find in it.

mod create;
mod pointing;
mod read;
mod txn;

use std::path::PathBuf;
use std::slice;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::model::config::Config;
use crate::model::event::{Author, Event};
use crate::model::failure::Code;
use crate::model::ids::TaskId;
use crate::storage::layout::Layout;
use crate::storage::log::Place;

struct Project {
    _dir: TempDir,
    layout: Layout,
    config: Config,
}

fn project() -> Project {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::at(dir.path());
    layout.ensure_dirs().unwrap();
    Project { _dir: dir, layout, config: Config::from_value(json!({"project_code": "QX"})) }
}

impl Project {
    fn create(&self, new: &NewTask) -> TaskId {
        let created =
            create_task(&self.layout, &self.config, new, &Author::new("human:ana")).unwrap();
        created.snapshot.task_id().unwrap()
    }

    fn comment(&self, task: &TaskId, body: &str) {
        let mut txn = TaskTxn::begin(&self.layout, task).unwrap();
        txn.append(&comment(task, body)).unwrap();
        txn.write_snapshot().unwrap();
    }

    fn archive_by_hand(&self, task: &TaskId) {
        fs_err::rename(self.layout.log(task), self.layout.archived_log(task)).unwrap();
        fs_err::rename(self.layout.snapshot(task), self.layout.archived_snapshot(task)).unwrap();
    }
}

fn file(path: PathBuf) -> String {
    fs_err::read_to_string(path).unwrap()
}

fn new_task() -> NewTask {
    let text = |text: &str| text.to_owned();
    NewTask {
        title: text("t"),
        kind: text("task"),
        priority: text("low"),
        status: text("backlog"),
        ..NewTask::default()
    }
}

fn comment(task: &TaskId, body: &str) -> Event {
    Author::new("human:ana").event(
        "comment_added",
        task,
        "2026-03-01T10:00:00Z".to_owned(),
        json!({"body": body}),
    )
}

fn bodies(events: &[Event]) -> Vec<&str> {
    events.iter().filter_map(|event| event.data().get("body")?.as_str()).collect()
}
