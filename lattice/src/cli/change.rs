//! What the commands that change a task have in common: who, which task, one transaction, then the hooks.

use serde_json::json;

use lattice::model::config::Config;
use lattice::model::event::{Author, Event};
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::model::reduce::Snapshot;
use lattice::storage::layout::Layout;
use lattice::storage::task::{TaskTxn, read_config, resolve_task};

use super::hooks;
use super::identity::WriteArgs;
use super::progress::Progress;
use super::session::Session;

/// Everything that is known before a task is looked at.
pub(crate) struct Change<'a> {
    session: &'a Session,
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    pub(crate) author: Author,
}

impl<'a> Change<'a> {
    pub(crate) fn new(session: &'a Session, write: &WriteArgs) -> Result<Self> {
        write.check_usage()?;
        let layout = session.layout()?;
        let config = read_config(&layout)?;
        let author = write.author(&session.caller)?;
        Ok(Self { session, layout, config, author })
    }

    pub(crate) fn task(&self, text: &str) -> Result<TaskId> {
        resolve_task(&self.layout, text)
    }

    /// Locks a task. An archived one is not there for a change.
    pub(crate) fn begin(&self, task: &TaskId) -> Result<TaskTxn> {
        let progress = Progress::for_lock(self.session, task);
        let txn = TaskTxn::begin(&self.layout, task)?;
        drop(progress);
        if txn.is_archived() {
            return Err(Failure::new(Code::NotFound, format!("task {task} is archived")).hint(
                format!("lattice show {task}    (an archived task can be read, not changed)"),
            ));
        }
        Ok(txn)
    }

    /// Records the events and runs their hooks.
    pub(crate) fn commit(&self, txn: TaskTxn, events: &[Event]) -> Result<Snapshot> {
        let snapshot = self.record(txn, events)?;
        self.fire(events)?;
        Ok(snapshot)
    }

    /// Appends the events, all or none, writes the snapshot and lets go of the locks. The hooks are still to be run.
    ///
    /// From the append on nothing may look like a refusal, or the caller would do it all again: a snapshot that
    /// cannot be written is only a warning, because the next write makes it again from the log.
    pub(crate) fn record(&self, mut txn: TaskTxn, events: &[Event]) -> Result<Snapshot> {
        txn.append_all(events)?;
        if let Err(failure) = txn.write_snapshot() {
            self.session
                .out
                .warn(format_args!("the event is recorded, but not the snapshot: {failure}"));
        }
        Ok(txn.snapshot().clone())
    }

    /// Answers that everything is as it is wanted already.
    pub(crate) fn nothing_to_do(&self, why: &str) -> Result<()> {
        self.session.out.answer(json!({"message": why}), "ok", why)
    }

    pub(crate) fn fire(&self, events: &[Event]) -> Result<()> {
        hooks::fire(self.session, &self.layout, &self.config, events)
    }

    /// The role of a comment or an artifact: one of those that the workflow knows, if it knows any.
    pub(crate) fn check_role(&self, role: Option<&str>) -> Result<()> {
        let known = self.config.roles();
        match role {
            Some(role) if !known.is_empty() && !known.contains(&role) => {
                Err(Failure::new(Code::InvalidRole, format!("'{role}' is no role of this project"))
                    .hint(format!("roles are: {}", known.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

/// A value that has to be one of a few.
pub(crate) fn one_of(what: &str, value: &str, allowed: &[&str]) -> Result<String> {
    if allowed.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(Failure::new(Code::ValidationError, format!("'{value}' is no {what}"))
        .hint(format!("use one of: {}", allowed.join(", "))))
}
