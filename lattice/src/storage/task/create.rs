//! Creating a task: the only place where an event log comes into being.

use std::io::{self, Write};
use std::time::SystemTime;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;
use serde_json::{Map, Value, json};

use super::short_ids;
use super::txn::{TaskTxn, open_lifecycle};
use crate::model::config::Config;
use crate::model::event::{Author, Event, TASK_CREATED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::TaskId;
use crate::model::reduce::{Snapshot, replay};
use crate::model::time::timestamp;
use crate::storage::append::{append_line, repair_tail};
use crate::storage::layout::Layout;
use crate::storage::lock;
use crate::storage::log;
use crate::storage::owner;
use crate::storage::replace::sync_dir;

/// A task to be. All values are final: defaults and validation are the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTask {
    pub title: String,
    pub kind: String,
    pub priority: String,
    pub urgency: Option<String>,
    pub complexity: Option<String>,
    pub status: String,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub assigned_to: Option<String>,
    /// Given: creating the same task again is success without a write.
    pub id: Option<TaskId>,
}

/// What became of a task that was to be created.
#[derive(Debug)]
pub struct Created {
    pub snapshot: Snapshot,
    /// None if it was there already with the same content.
    pub event: Option<Event>,
    /// What could not be written beside the event, which is all that counts.
    pub trouble: Option<Failure>,
}

impl Created {
    fn before(snapshot: Snapshot) -> Self {
        Self { snapshot, event: None, trouble: None }
    }
}

/// Creates a task, unless it is there already with the same content.
pub fn create_task(
    layout: &Layout,
    config: &Config,
    new: &NewTask,
    author: &Author,
) -> Result<Created> {
    if let Some(id) = &new.id
        && let Some(existing) = existing(layout, id, new)?
    {
        return Ok(Created::before(existing));
    }
    layout.ensure_dirs()?;
    let task = new.id.clone().unwrap_or_else(TaskId::generate);
    // A critical section of its own, as in Python: the key sorts behind the task's.
    let short_id = config
        .short_id_prefix()
        .map(|prefix| short_ids::allocate(layout, &prefix, &task))
        .transpose()?;

    let locks = lock::acquire(layout, &lock::lifecycle_keys(&task))?;
    if let Some(existing) = existing(layout, &task, new)? {
        return Ok(Created::before(existing));
    }
    let data = new.event_data(short_id.as_deref());
    let event = author.event(TASK_CREATED, &task, timestamp(SystemTime::now()), data);
    begin_log(layout, &task, &event)?;

    // From here on the task is there, and every reader finds it. The rest is repaired by the next write.
    let snapshot = replay(std::slice::from_ref(&event)).expect("it begins with its creation");
    let txn = TaskTxn::open(layout, &task, false, locks);
    let written = txn.and_then(|txn| txn.write_snapshot());
    let written = written.and(write_plan(layout, &task, new, short_id.as_deref()));
    Ok(Created { snapshot, event: Some(event), trouble: written.err() })
}

impl NewTask {
    fn event_data(&self, short_id: Option<&str>) -> Value {
        let optional = [
            ("urgency", self.urgency.as_deref()),
            ("complexity", self.complexity.as_deref()),
            ("description", self.description.as_deref()),
            ("assigned_to", self.assigned_to.as_deref()),
            ("short_id", short_id),
        ];
        let mut data: Map<String, Value> = optional
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
            .collect();
        for (key, value) in [
            ("title", &self.title),
            ("status", &self.status),
            ("type", &self.kind),
            ("priority", &self.priority),
        ] {
            data.insert(key.to_owned(), value.as_str().into());
        }
        if !self.tags.is_empty() {
            data.insert("tags".to_owned(), self.tags.clone().into());
        }
        data.into()
    }

    /// Whether a task says the same in the fields that its creation gave.
    fn agrees_with(&self, snapshot: &Snapshot) -> bool {
        let tags: Value = if self.tags.is_empty() { Value::Null } else { self.tags.clone().into() };
        let wanted = [
            ("title", json!(self.title)),
            ("type", json!(self.kind)),
            ("priority", json!(self.priority)),
            ("urgency", json!(self.urgency)),
            ("complexity", json!(self.complexity)),
            ("status", json!(self.status)),
            ("description", json!(self.description)),
            ("tags", tags),
            ("assigned_to", json!(self.assigned_to)),
        ];
        let empty = json!([]);
        wanted.iter().all(|(key, value)| {
            let found = snapshot.get(key).filter(|&found| *key != "tags" || *found != empty);
            found.unwrap_or(&Value::Null) == value
        })
    }
}

/// The task of this ID, if there is one and it is the one that is wanted; another one is a conflict.
fn existing(layout: &Layout, task: &TaskId, new: &NewTask) -> Result<Option<Snapshot>> {
    let conflict = |why: &str| {
        Err(Failure::new(Code::Conflict, format!("the task {task} {why}"))
            .hint(format!("lattice show {task}")))
    };
    let Some(history) = log::read_history(layout, task)? else {
        return Ok(None);
    };
    match replay(&history.events) {
        Some(snapshot) if new.agrees_with(&snapshot) => Ok(Some(snapshot)),
        Some(_) => conflict("exists with other content"),
        // A crash between the making of the log and its first line.
        None if history.events.is_empty() => Ok(None),
        None => conflict("has an event log without its beginning"),
    }
}

/// Makes the log with its first line, durably, or leaves none.
fn begin_log(layout: &Layout, task: &TaskId, event: &Event) -> Result<()> {
    let line = event.line().into_bytes();
    let mut lifecycle = open_lifecycle(layout)?;
    let mut log = make_log(layout, task)?;
    let written = append_line(&mut log, &line)
        .and_then(|()| sync_dir(&layout.events()))
        .and_then(|()| append_line(&mut lifecycle, &line));
    if written.is_err() {
        // Under the lock, and nobody has been told of this task. A log that stays is found empty, or whole.
        drop(fs_err::remove_file(log.path()));
    }
    written.map_err(Failure::from)
}

fn make_log(layout: &Layout, task: &TaskId) -> Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).append(true).mode(0o666).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    match options.clone().create_new(true).open(layout.log(task)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut log = options.open(layout.log(task))?;
            repair_tail(&mut log, &layout.torn_tails())?;
            Ok(log)
        }
        made => {
            let log = made?;
            owner::inherit(log.file(), &layout.log(task));
            Ok(log)
        }
    }
}

/// A heading and the description, for whoever plans the task. One that is there stays as it is.
fn write_plan(layout: &Layout, task: &TaskId, new: &NewTask, short_id: Option<&str>) -> Result<()> {
    let heading = short_id.map(|id| format!("{id}: ")).unwrap_or_default();
    let mut text = format!("# {heading}{}\n", new.title);
    if let Some(description) = new.description.as_deref().filter(|text| !text.is_empty()) {
        text.extend(["\n", description, "\n"]);
    }
    let mut plan = match File::create_new(layout.plan(task)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        plan => plan?,
    };
    owner::inherit(plan.file(), &layout.plan(task));
    Ok(plan.write_all(text.as_bytes())?)
}
