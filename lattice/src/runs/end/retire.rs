//! E6: what is worth keeping moves to `logs/workers/`, and the directory goes.

use serde_json::json;

use super::sequence::End;
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::json;
use crate::runs::record;
use crate::storage::{delete, replace};

/// Durable before the directory goes: the record is the only copy of the end while no log holds it.
pub(super) fn keep_record(end: &End<'_>, record: &Event) -> Result<()> {
    keep_report(end, record)?;
    let kept = json!({
        "spec": end.spec,
        "supervisor": end.run.supervisors(),
        "engine": end.run.engine_identity(),
        "terminal": record.to_value(),
    });
    Ok(replace::replace(
        &record::path(end.layout, &end.spec.run_id),
        json::pretty(&kept).as_bytes(),
    )?)
}

/// A report that could not become an artifact stays beside the log; moving it takes no space.
pub(super) fn keep_report(end: &End<'_>, record: &Event) -> Result<()> {
    fs_err::create_dir_all(end.layout.worker_logs())?;
    let report = end.run.report();
    let plain = fs_err::symlink_metadata(&report)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
    if plain && record.data().get("artifact_id").is_none() {
        fs_err::rename(
            report,
            end.layout.worker_logs().join(format!("{}.report", end.spec.run_id)),
        )?;
    }
    Ok(())
}

/// Renamed before it is emptied: a directory without its lock or its spec must never look like a run.
pub(super) fn directory(end: &End<'_>) -> Result<()> {
    if !end.run.exists() {
        return Ok(());
    }
    let old = end.layout.runs().join(format!(".old-{}", end.spec.run_id));
    fs_err::rename(end.run.path(), &old)?;
    replace::sync_dir(&end.layout.runs())?;
    // What is left of it is garbage by its name.
    drop(delete::delete_tree(&old));
    Ok(())
}
