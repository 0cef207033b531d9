//! E3: the record's line goes into the task's log, under its locks, unless an end is there.

use std::io;
use std::time::SystemTime;

use super::sequence::End;
use crate::model::event::{ARTIFACT_ATTACHED, Event, PROCESS_STARTED};
use crate::model::failure::{Code, Result};
use crate::model::ids::ArtifactId;
use crate::model::terminal;
use crate::model::time;
use crate::storage::task::TaskTxn;

/// Brings the log to the state in which this run has begun and ended exactly once. The log is never created:
/// where a branch switch has taken it away, the record in `logs/workers/` waits until it is back.
///
/// The answer is the end that the log has: another's, if this ender came second and found no directory.
pub(super) fn append(end: &End<'_>, record: &Event) -> Result<Event> {
    let mut txn = match TaskTxn::begin(end.layout, &end.spec.task_id) {
        Ok(txn) => txn,
        Err(failure) if failure.code() == Code::NotFound => return Ok(record.clone()),
        Err(failure) => return Err(failure),
    };
    let run = end.spec.run_id.as_str();
    let started =
        txn.events().iter().any(|event| event.kind() == PROCESS_STARTED && event.id() == run);
    if !started {
        match copy_of_start(end)? {
            Some(line) => txn.append_raw(&line)?,
            // Neither a line nor its copy: it never was a run, and gets no end.
            None => return Ok(record.clone()),
        }
    }
    let ended = txn.events().iter().find(|event| event.ended_run() == Some(run)).cloned();
    if ended.is_none() {
        attach_report(end, record, &mut txn)?;
        txn.append_raw(&record.line())?;
    }
    // A snapshot is a cache: the next writer replaces it.
    drop(txn.write_snapshot());
    Ok(ended.unwrap_or_else(|| record.clone()))
}

/// One that a loss of power has emptied is none.
fn copy_of_start(end: &End<'_>) -> Result<Option<String>> {
    match fs_err::read_to_string(end.run.started()) {
        Ok(line) => {
            Ok(Some(line).filter(|line| Event::parse(line.trim_end().as_bytes()).is_some()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn attach_report(end: &End<'_>, record: &Event, txn: &mut TaskTxn) -> Result<()> {
    let Some(artifact) =
        record.data().get("artifact_id").and_then(|id| ArtifactId::parse(id.as_str()?))
    else {
        return Ok(());
    };
    let names_it = |event: &Event| {
        event.kind() == ARTIFACT_ATTACHED
            && event.data().get("artifact_id").and_then(|id| id.as_str()) == Some(artifact.as_str())
    };
    if txn.events().iter().any(names_it) {
        return Ok(());
    }
    let ts = time::timestamp(SystemTime::now());
    txn.append(&terminal::report_attached(end.spec, &artifact, ts))
}
