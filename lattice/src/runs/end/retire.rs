//! E6: what is worth keeping moves to `logs/workers/`, and the directory goes.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use super::leftover::Leftover;
use super::sequence::End;
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::mask::Veil;
use crate::runs::record::{self, Kept};
use crate::runs::secrets;
use crate::storage::{owner, replace};

/// Durable before the directory goes: the record is the only copy of the end while no log holds it.
pub(super) fn keep_record(end: &End<'_>, record: &Event) -> Result<()> {
    keep_report(end, record)?;
    let kept = Kept {
        spec: end.spec,
        supervisor: end.run.supervisors(),
        engine: end.run.engine_identity(),
        terminal: record.as_map(),
    };
    record::write(end.layout, &kept)
}

/// A report that could not become an artifact stays beside the log, as private as that; moving it takes no space.
pub(super) fn keep_report(end: &End<'_>, record: &Event) -> Result<()> {
    owner::make_dirs(&end.layout.worker_logs(), 0o700)?;
    let report = end.run.report();
    let plain = fs_err::symlink_metadata(&report)
        .is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1 && metadata.len() > 0);
    if plain && record.data().get("artifact_id").is_none() {
        // Its own modes are those that the engine gave it.
        fs_err::set_permissions(&report, Permissions::from_mode(0o600))?;
        let known = end.mask.cloned().unwrap_or_else(|| secrets::of_project(end.spec));
        if let Some(veil) = known.veil() {
            hide_in_place(&report, veil)?;
        }
        fs_err::rename(
            report,
            end.layout.worker_logs().join(format!("{}.report", end.spec.run_id)),
        )?;
    }
    Ok(())
}

/// As many bytes as there were, so a full disk is no obstacle.
fn hide_in_place(path: &Path, mut veil: Veil) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = fs_err::OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?.into_file();
    let (mut from, mut to) = (0, 0);
    loop {
        let count = file.read_at(veil.room(), from)?;
        from += count as u64;
        let known = if count == 0 { veil.rest() } else { veil.take(count) };
        file.write_all_at(known, to)?;
        to += known.len() as u64;
        if count == 0 {
            return Ok(());
        }
    }
}

/// Renamed before it is emptied: a directory without its lock or its spec must never look like a run.
pub(super) fn directory(end: &End<'_>) -> Result<Leftover> {
    let old = end.run.retired();
    if end.run.exists() {
        fs_err::rename(end.run.path(), old.path())?;
        replace::sync_dir(&end.layout.runs())?;
    }
    Ok(Leftover::of(end.spec, old))
}
