//! Putting right what a survey has found, under the locks. No byte of a log goes without a copy.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::old_temporaries;
use super::survey::{Survey, all_tasks};
use crate::model::event::TASK_CREATED;
use crate::model::failure::{Code, Result};
use crate::model::finding::Check;
use crate::model::ids::TaskId;
use crate::model::json;
use crate::model::log_text::mended;
use crate::storage::append::set_aside;
use crate::storage::layout::Layout;
use crate::storage::lifecycle;
use crate::storage::lock;
use crate::storage::log;
use crate::storage::rebuild;
use crate::storage::replace::replace;
use crate::storage::task::{TaskTxn, open_log};

/// What cannot be repaired without a decision stays for the next survey to name. The answer is what went wrong.
pub fn repair(layout: &Layout, survey: &Survey) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |result: Result<()>| problems.extend(result.err().map(|why| why.to_string()));
    note(layout.ensure_dirs());
    for path in old_temporaries(layout) {
        note(fs_err::remove_file(path).map_err(Into::into));
    }
    let broken: BTreeSet<&TaskId> = survey
        .findings
        .iter()
        .filter(|finding| is_of_one_task(finding.check))
        .filter_map(|finding| finding.task.as_ref())
        .collect();
    for task in broken {
        note(repair_task(layout, task));
    }
    if survey.findings.iter().any(|finding| shows_in_derived_files(finding.check)) {
        note(derive_again(layout));
    }
    problems
}

fn is_of_one_task(check: Check) -> bool {
    matches!(
        check,
        Check::JsonParse
            | Check::JsonlParse
            | Check::SnapshotDrift
            | Check::TaskPlace
            | Check::MissingLog
            | Check::DuplicateEvent
    )
}

/// What was repaired may also have brought a life-cycle event or a short ID to light.
fn shows_in_derived_files(check: Check) -> bool {
    matches!(
        check,
        Check::GlobalLogConsistency | Check::AliasIntegrity | Check::JsonlParse | Check::MissingLog
    )
}

fn derive_again(layout: &Layout) -> Result<()> {
    let tasks: Vec<TaskId> = all_tasks(layout).into_iter().collect();
    rebuild::derive_again(layout, &tasks)
}

fn repair_task(layout: &Layout, task: &TaskId) -> Result<()> {
    let locks = lock::acquire(layout, &lock::task_keys(task))?;
    for path in [layout.log(task), layout.archived_log(task)] {
        if path.exists() {
            mend(layout, &path)?;
        }
    }
    restore_beginning(layout, task)?;
    for path in [layout.snapshot(task), layout.archived_snapshot(task)] {
        keep_unreadable(layout, &path)?;
    }
    match TaskTxn::open(layout, task, false, locks) {
        Ok(mut txn) => txn.settle(),
        Err(failure) if failure.code() == Code::NotFound => remove_unborn(layout, task),
        Err(failure) => Err(failure),
    }
}

/// Under the locks. First the copies, then the new log: a crash between them leaves lines in both places.
fn mend(layout: &Layout, path: &Path) -> Result<()> {
    let (_, content) = open_log(layout, path)?;
    let Some(mended) = mended(&content) else { return Ok(()) };
    for (offset, bytes) in &mended.aside {
        set_aside(path, &layout.torn_tails(), *offset, bytes)?;
    }
    Ok(replace(path, &mended.kept)?)
}

/// Under the locks. A log that lost its first line gets it back from its copy, if that is there.
fn restore_beginning(layout: &Layout, task: &TaskId) -> Result<()> {
    let logs = [layout.log(task), layout.archived_log(task)];
    let mut contents = Vec::new();
    for path in logs.into_iter().filter(|path| path.exists()) {
        contents.push((fs_err::read(&path)?, path));
    }
    let begins = |content: &[u8]| log::events(content).iter().any(|e| e.kind() == TASK_CREATED);
    if contents.iter().any(|(content, _)| begins(content)) {
        return Ok(());
    }
    let Some((content, path)) = contents.into_iter().find(|(content, _)| !content.is_empty())
    else {
        return Ok(());
    };
    let Some(beginning) = lifecycle::beginning(layout, task)? else { return Ok(()) };
    Ok(replace(&path, &[beginning, content].concat())?)
}

/// The snapshot is about to be made again from the log; what is in its place may be somebody's merge conflict.
fn keep_unreadable(layout: &Layout, path: &Path) -> Result<()> {
    let Ok(bytes) = fs_err::read(path) else { return Ok(()) };
    if bytes.is_empty() || json::parse_line(&bytes).is_some_and(|value| value.is_object()) {
        return Ok(());
    }
    Ok(set_aside(path, &layout.torn_tails(), 0, &bytes)?)
}

/// An empty log without a snapshot: the creation of the task died before its first line.
fn remove_unborn(layout: &Layout, task: &TaskId) -> Result<()> {
    let _locks = lock::acquire(layout, &lock::task_keys(task))?;
    let path = layout.log(task);
    let is_empty =
        fs_err::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == 0);
    let has_snapshot = layout.snapshot(task).exists() || layout.archived_snapshot(task).exists();
    if is_empty && !has_snapshot {
        fs_err::remove_file(path)?;
    }
    Ok(())
}
