//! The copy of a report that a definition wants in the main checkout.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::model::run::Spec;
use crate::process::inherit;
use crate::storage::replace;

/// Where it is, below the project root; or why it is not there. The name is the run's, so that whoever repeats this
/// step replaces the copy instead of adding one. A failure is told, and stops nothing.
pub(super) fn write(spec: &Spec, bytes: &[u8]) -> Option<Result<String, String>> {
    let path = spec.report_dir.as_ref()?.join(name(spec));
    let written = put(spec, &spec.project_root.join(&path), bytes);
    Some(written.map(|()| path.display().to_string()).map_err(|error| error.to_string()))
}

/// `LAT-42-Review-7QK3ZD.md`
fn name(spec: &Spec) -> String {
    let task = spec.short_id.as_deref().unwrap_or(spec.task_id.as_str());
    let run = spec.run_id.ulid();
    let worker = spec.worker.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "-");
    format!("{task}-{worker}-{}.md", &run[run.len() - 6..])
}

/// With the modes that the user's own files get: it is theirs, and may be committed.
fn put(spec: &Spec, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let own = inherit::current_umask();
    inherit::set_umask(spec.umask);
    let made = path.parent().map_or(Ok(()), fs_err::create_dir_all);
    inherit::set_umask(own);
    made?;
    replace::replace_with(path, |file| {
        file.as_file().set_permissions(Permissions::from_mode(0o666 & !spec.umask))?;
        file.write_all(bytes)
    })
}
