//! Files that belong to no task: configuration, artifacts, resources, strangers, and what interrupted writes left.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::survey::Survey;
use super::task::name;
use crate::model::finding::{Check, Finding};
use crate::model::ids::TaskId;
use crate::model::json;
use crate::storage::layout::Layout;
use crate::storage::task::read_config;

/// A temporary file of a write that goes on is younger.
const OLD: Duration = Duration::from_hours(1);

pub(super) fn config(layout: &Layout, survey: &mut Survey) {
    match read_config(layout) {
        Ok(config) => {
            let warnings = config.worker_warnings().into_iter();
            survey.findings.extend(warnings.map(|why| Finding::warning(Check::Config, why)));
        }
        Err(failure) => {
            survey.findings.push(Finding::error(Check::JsonParse, failure.to_string()));
        }
    }
}

pub(super) fn artifacts(layout: &Layout, survey: &mut Survey) {
    for path in entries(&layout.artifact_metas()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        survey.artifacts += 1;
        match object(layout, &path) {
            Ok(meta) => survey.findings.extend(payload(layout, &path, &meta)),
            Err(finding) => survey.findings.push(finding),
        }
    }
}

fn payload(layout: &Layout, path: &Path, meta: &Value) -> Option<Finding> {
    let file = meta["payload"]["file"].as_str()?;
    let is_plain = Path::new(file).file_name().is_some_and(|name| name == file);
    if is_plain && layout.artifact_payloads().join(file).exists() {
        return None;
    }
    let message = format!("the payload {file} that {} names does not exist", name(layout, path));
    Some(Finding::warning(Check::MissingArtifact, message))
}

/// Those of the Python tool; they are only read here.
pub(super) fn resources(layout: &Layout, survey: &mut Survey) {
    for dir in entries(&layout.dir.join("resources")) {
        let path = dir.join("resource.json");
        if path.exists() {
            survey.resources += 1;
            survey.findings.extend(object(layout, &path).err());
        }
    }
}

/// Files that the Python tool would take for a task's.
pub(super) fn strangers(dir: &Path, extension: &str) -> Vec<Finding> {
    let is_stranger = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_ours = TaskId::parse(&stem).is_some()
            || (extension == "jsonl" && (stem == "_lifecycle" || stem.starts_with("res_")));
        !is_ours && path.extension().is_some_and(|found| found == extension)
    };
    let message = |path: PathBuf| format!("{} is not named by the ID of a task", path.display());
    let named = entries(dir).filter(is_stranger).map(message);
    named.map(|message| Finding::warning(Check::MalformedId, message)).collect()
}

pub(super) fn leftovers(layout: &Layout) -> Vec<Finding> {
    let message =
        |path: PathBuf| format!("{} is left of an interrupted write", name(layout, &path));
    let left = old_temporaries(layout).into_iter().map(message);
    left.map(|message| Finding::warning(Check::Leftover, message)).collect()
}

/// Files without a name of their own yet, whose writers are long gone.
pub(super) fn old_temporaries(layout: &Layout) -> Vec<PathBuf> {
    let dirs = [
        layout.dir.clone(),
        layout.tasks(),
        layout.events(),
        layout.archive_tasks(),
        layout.archive_events(),
        layout.artifact_metas(),
        layout.artifact_payloads(),
        layout.worker_logs(),
    ];
    let is_temporary = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp."))
            && fs_err::symlink_metadata(path).is_ok_and(|found| found.is_file() && is_old(&found))
    };
    dirs.iter().flat_map(|dir| entries(dir)).filter(is_temporary).collect()
}

fn is_old(metadata: &Metadata) -> bool {
    let age = metadata.modified().map(|time| SystemTime::now().duration_since(time));
    age.is_ok_and(|age| age.is_ok_and(|age| age > OLD))
}

fn object(layout: &Layout, path: &Path) -> Result<Value, Finding> {
    let wrong = |why: String| Finding::error(Check::JsonParse, why);
    let bytes = fs_err::read(path).map_err(|error| wrong(error.to_string()))?;
    match json::parse_line(&bytes) {
        Some(value @ Value::Object(_)) => Ok(value),
        _ => Err(wrong(format!("{} is not a JSON object", name(layout, path)))),
    }
}

/// Nothing if the directory is not there: that is found elsewhere.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let listed = fs_err::read_dir(dir).into_iter().flatten();
    listed.filter_map(|entry| Some(entry.ok()?.path()))
}
