//! What is secret in a run: in the environment of its caller, in its definition, and in the files that it is given.
//! The values are in the memory of those who ask, and on no disk but where they came from.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::OFlags;

use super::untrusted;
use crate::model::mask::{Mask, assignments};
use crate::model::run::Spec;

/// A longer file is no list of variables.
const LONGEST: u64 = 1 << 20;

/// `environment`: the caller's, for those who have it.
pub fn of(spec: &Spec, environment: &[(OsString, OsString)]) -> Mask {
    of_environment(environment).and(of_project(spec))
}

pub fn of_environment(environment: &[(OsString, OsString)]) -> Mask {
    Mask::new(environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())))
}

/// For those who have not: what anybody can know.
pub fn of_project(spec: &Spec) -> Mask {
    let given: Vec<(String, String)> = files(spec)
        .iter()
        .filter_map(|path| Some(assignments(&text(path).ok()?)))
        .flatten()
        .collect();
    Mask::new(pairs(&spec.env_set).chain(pairs(given.iter().map(|(name, value)| (name, value)))))
}

fn pairs<'a>(
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> impl Iterator<Item = (&'a OsStr, &'a OsStr)> {
    variables.into_iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value)))
}

/// Copies in the worktree that are not as they came, and in which there are secrets; relative to the project.
pub fn in_changed_copies(spec: &Spec, mask: &Mask, unchanged: &[PathBuf]) -> Vec<PathBuf> {
    let Some(veil) = mask.veil() else { return Vec::new() };
    let given = files(spec).into_iter().filter_map(|path| {
        let below = path.strip_prefix(&spec.project_root).ok()?.to_owned();
        let is_changed = !unchanged.iter().any(|part| below.starts_with(part));
        let bytes = untrusted::read(&spec.cwd.join(&below), LONGEST).ok()??;
        (is_changed && veil.finds(&bytes)).then_some(below)
    });
    given.collect()
}

/// Files that the definition names to be copied or linked into the worktree. Dotenv files that are selected for that,
/// or that stand directly in a directory which is, or in the project that a run in place works in.
fn files(spec: &Spec) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let whole = |below: &PathBuf| spec.project_root.join(below);
    let in_place = spec.worktree_path.is_none().then(|| spec.project_root.clone());
    // Of what a pattern selects there may be very many.
    let selected = spec.include.iter().map(whole);
    let selected = selected.filter(|path| is_dotenv(path) || path.is_dir());
    let named = spec.copy.iter().chain(&spec.link).map(whole);
    for path in named.chain(selected).chain(in_place) {
        match fs_err::read_dir(&path) {
            Ok(entries) => {
                let children = entries.filter_map(|entry| Some(entry.ok()?.path()));
                found.extend(children.filter(|path| is_dotenv(path)));
            }
            Err(_) => found.push(path),
        }
    }
    found
}

fn is_dotenv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == ".envrc" || name.ends_with(".env") || name.starts_with(".env.")
}

/// Links are followed, as the copying does it; a FIFO is not waited for.
fn text(path: &Path) -> io::Result<String> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = fs_err::OpenOptions::new();
    let file = options.read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
