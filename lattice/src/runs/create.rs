//! The run directory: made whole and locked under a name that is nobody's, then renamed into view.

use std::fs::TryLockError;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::{CWD, FallocateFlags, RenameFlags, renameat_with};

use super::directory::{LifeLock, RESERVE_BYTES, RESERVE_PREFIX, RESERVES, RunDir, is_at};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::new_ulid;
use crate::model::json;
use crate::model::run::Spec;
use crate::storage::layout::Layout;
use crate::storage::{delete, replace};

/// Every call that the end of the run will need is made here once, so that a file system which cannot do it
/// refuses before anything is recorded. A crash leaves `.new-`, which the next reaper collects.
///
/// `waiting`: without a slot, until it enters.
pub fn directory(layout: &Layout, spec: &Spec, waiting: bool) -> Result<(RunDir, LifeLock)> {
    let runs = layout.runs();
    let draft = RunDir::at(runs.join(format!(".new-{}", spec.run_id)));
    make_private(draft.path())?;
    let made = fill(&draft, spec, waiting).and_then(|life| {
        let run = RunDir::at(layout.run_dir(&spec.run_id));
        fs_err::rename(draft.path(), run.path())?;
        replace::sync_dir(&runs)?;
        if is_at(&life.lock, &run.lock()) { Ok((run, life)) } else { Err(taken(run.path())) }
    });
    if made.is_err() {
        drop(delete::delete_tree(draft.path()));
    }
    made
}

/// A collector has taken it for garbage while this process slept between two of its steps.
fn taken(path: &Path) -> Failure {
    let message = format!("{} was removed while it was being made", path.display());
    Failure::new(Code::IoError, message).hint("run the command again")
}

fn fill(draft: &RunDir, spec: &Spec, waiting: bool) -> Result<LifeLock> {
    let life = LifeLock { lock: locked(&draft.lock())?, ended: locked(&draft.ended())? };
    for _ in 0..RESERVES {
        reserve(&draft.file(&format!("{RESERVE_PREFIX}{}", new_ulid())))?;
    }
    if waiting {
        new_file(&draft.waiting())?;
    }
    make_private(&draft.work())?;
    make_private(&draft.work().join("tmp"))?;
    if let Some(prompt) = &spec.prompt {
        write(&draft.prompt(), prompt.as_bytes())?;
    }
    try_publish(draft)?;
    // Last, so that a journal has nothing left to write for the directory.
    write(&draft.spec_file(), json::pretty_struct(spec).as_bytes())?;
    replace::sync_dir(draft.path())?;
    Ok(life)
}

fn make_private(path: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|error| {
        Failure::io(format_args!("failed to create directory `{}`", path.display()), error)
    })
}

fn locked(path: &Path) -> Result<std::fs::File> {
    let file = new_file(path)?.into_file();
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken(path)),
        Err(TryLockError::Error(error)) => {
            Err(Failure::io(format_args!("failed to lock `{}`", path.display()), error)
                .hint("put the project on a file system with flock(2), which runs need"))
        }
    }
}

/// Space for the record of the end: promised (fallocate(2)), which needs no sync, because after a power cut whoever
/// writes the end may find a full disk anyway; or zeros where the file system makes no promises.
fn reserve(path: &Path) -> Result<()> {
    let mut file = new_file(path)?;
    if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES).is_ok() {
        return Ok(());
    }
    let zeros = [0; 4096];
    for _ in 0..RESERVE_BYTES / 4096 {
        file.write_all(&zeros)?;
    }
    Ok(file.sync_all()?)
}

/// The end is published by a hard link, or by a rename that does not replace.
fn try_publish(draft: &RunDir) -> Result<()> {
    let (from, to) = (draft.ended(), draft.file(".link"));
    if fs_err::hard_link(&from, &to).is_ok() {
        return Ok(fs_err::remove_file(&to)?);
    }
    write(&to, b"")?;
    renameat_with(CWD, &to, CWD, draft.file(".renamed"), RenameFlags::NOREPLACE).map_err(
        |error| {
            Failure::io(
                format_args!("failed to link or rename in `{}`", draft.path().display()),
                error,
            )
            .hint("put the project on a file system with link(2) or renameat2(2)")
        },
    )?;
    Ok(fs_err::remove_file(draft.file(".renamed"))?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = new_file(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

fn new_file(path: &Path) -> io::Result<fs_err::File> {
    fs_err::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}
