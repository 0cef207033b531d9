//! Saving what a run left in its worktree, so that deleting the worktree loses nothing. Never deletes anything but
//! its own temporary files; what could not be saved is a veto against deletion.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use ulid::Ulid;

use super::repository::{is_object_name, object_name};
use super::scene::Scene;
use super::{changes, collection, command, plain, submodules, tips};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::RunId;
use crate::process::helper::Helpers;

/// A collection that runs again and again is somebody's mistake, and then the worktree stays.
const ATTEMPTS: usize = 3;

/// Whether a commit, by its committer and its subject, is what a run had not committed.
pub(super) fn is_salvage(run: &RunId, email: &str, title: &str) -> bool {
    email == command::EMAIL && title == subject(run)
}

fn subject(run: &RunId) -> String {
    format!("Work left behind by {run}")
}

/// What to save, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub common_dir: &'a Path,
    /// As [`super::worktree::entry`] found it.
    pub entry: Option<&'a Path>,
    pub worktree: &'a Path,
    pub run: &'a RunId,
    pub base_commit: &'a str,
    /// Paths below the top of the worktree that are not the worker's: copied or linked in, and unchanged
    /// (see [`super::carried::unchanged`]).
    pub exclude: &'a [PathBuf],
    /// An existing directory for the temporary index: the run directory.
    pub scratch: &'a Path,
}

/// What was saved, and whether the worktree must stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvage {
    pub preserved_ref: Option<String>,
    /// Why the worktree must be kept, in one sentence.
    pub veto: Option<String>,
}

/// The ref under which the work of a run is kept.
pub fn preserved_ref(run: &RunId) -> String {
    format!("refs/lattice/runs/{run}")
}

/// Saves commits and changes of a run's worktree.
///
/// Idempotent: the commit depends on nothing but what was left, so a second ender arrives at the same one; what an
/// earlier ender kept under the ref is never dropped, nor what another keeps there meanwhile, where locks prove nothing.
/// To be called with the run's life lock held, which makes a left-over lock file of the ref ours.
pub fn save(h: &mut dyn Helpers, request: &Request<'_>) -> Salvage {
    let scene = Scene::look(request);
    match save_whole(h, &scene) {
        Ok(salvage) => salvage,
        Err(_) if scene.is_empty() => Salvage::default(),
        Err(failure) => Salvage { preserved_ref: None, veto: Some(failure.message().to_owned()) },
    }
}

/// Somebody's `git gc --prune=now` takes away what no ref names yet, such as a tree that was written a moment ago
/// (git-gc(1), NOTES). So it is looked at again under its ref, and written again while the files are there. One that was
/// at work before the ref does not know of it until it has ended.
fn save_whole(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<Salvage> {
    let mut missing = String::new();
    for _ in 0..ATTEMPTS {
        remove_leftovers(scene)?;
        let salvage = save_scene(h, scene)?;
        let Salvage { preserved_ref: Some(name), veto: None } = &salvage else {
            return Ok(salvage);
        };
        collection::wait(scene.request.common_dir);
        match look_through(h, scene, name) {
            Err(failure) if scene.has_files => failure.message().clone_into(&mut missing),
            _ => return Ok(salvage),
        }
    }
    let message = format!("{missing}; does `git gc` or `git prune` run there again and again?");
    Err(Failure::new(Code::GitError, message))
}

/// Every object must be there that the base does not have.
fn look_through(h: &mut dyn Helpers, scene: &Scene<'_>, name: &str) -> Result<()> {
    let base = scene.request.base_commit;
    let words = ["rev-list", "--objects", "--quiet", name, "--not", base];
    scene.ask(h, "what was saved is not whole", &words).map(drop)
}

/// The lock of the ref, left by an ender that was killed, and what an attempt of ours left.
fn remove_leftovers(scene: &Scene<'_>) -> io::Result<()> {
    let Request { common_dir, run, .. } = scene.request;
    let lock = common_dir.join(format!("{}.lock", preserved_ref(run)));
    for path in [lock, scene.index.with_extension("index.lock"), scene.index.clone()] {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) name: String,
    pub(super) tree: String,
}

/// The commits that matter: where the run began, where it stands, what an earlier ender kept, and what else its
/// entry names.
pub(super) struct Points {
    pub(super) base: Commit,
    /// The base, where the worktree stands on no commit of its own.
    pub(super) head: Commit,
    kept: Option<String>,
    pub(super) named: Vec<String>,
}

fn save_scene(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<Salvage> {
    if scene.is_empty() {
        let kept = kept_before(h, scene)?.map(|_| preserved_ref(scene.request.run));
        return Ok(Salvage { preserved_ref: kept, veto: None });
    }
    let points = look_up(h, scene)?;
    let mut vetoes = scene.vetoes.clone();
    if !scene.has_files && points.kept.is_some() {
        // An earlier ender saved everything while the worktree was still there.
        return Ok(Salvage {
            preserved_ref: Some(preserved_ref(scene.request.run)),
            veto: sentence(&vetoes),
        });
    }
    let mut tree = points.head.tree.clone();
    if scene.has_files {
        match changes::save(h, scene, &points) {
            Ok(changed) => {
                tree = changed.tree;
                vetoes.extend(changed.vetoes);
            }
            Err(failure) => vetoes.push(failure.message().to_owned()),
        }
    }
    let base = &points.base.tree;
    let links = noted(submodules::changed_links(h, scene, base, &tree), &mut vetoes);
    vetoes.extend(links);
    let left_behind = noted(tips::left_behind(h, scene, &points), &mut vetoes);
    let preserved_ref = noted(keep(h, scene, &points, &tree, &left_behind), &mut vetoes);
    Ok(Salvage { preserved_ref, veto: sentence(&vetoes) })
}

/// One step that fails stops deletion, not the steps after it.
fn noted<T: Default>(result: Result<T>, vetoes: &mut Vec<String>) -> T {
    result.unwrap_or_else(|failure| {
        vetoes.push(failure.message().to_owned());
        T::default()
    })
}

fn sentence(vetoes: &[String]) -> Option<String> {
    (!vetoes.is_empty()).then(|| vetoes.join("; "))
}

/// The commit under the ref.
fn kept_before(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<Option<String>> {
    let name = preserved_ref(scene.request.run);
    let found = scene.ask(
        h,
        "cannot look for earlier work",
        // Only the name: the object may have been taken away.
        &["for-each-ref", "--format=%(objectname)", &name],
    )?;
    let found = String::from_utf8_lossy(&found).trim().to_owned();
    Ok(Some(found).filter(|name| is_object_name(name)))
}

fn look_up(h: &mut dyn Helpers, scene: &Scene<'_>) -> Result<Points> {
    let base = scene.request.base_commit;
    let head = if scene.entry.is_some() { "HEAD" } else { base };
    let named = tips::named(h, scene)?;
    let mut questions = String::new();
    for revision in [base, head] {
        write!(questions, "{revision}^{{commit}}\n{revision}^{{tree}}\n")
            .expect("writing to a string");
    }
    writeln!(questions, "{}^{{commit}}", preserved_ref(scene.request.run))
        .expect("writing to a string");
    for name in &named {
        writeln!(questions, "{name}^{{commit}}").expect("writing to a string");
    }
    let mut git = scene.git();
    git.args(["cat-file", "--batch-check=%(objectname) %(objecttype)"]);
    let output = command::checked(
        h,
        git,
        Some(questions.into_bytes()),
        "cannot look up the commits of the run",
    )?;
    let mut answers = output.split(|byte| *byte == b'\n').map(object_name);
    let mut next = || answers.next().flatten();
    let (base_name, base_tree, head_name, head_tree, kept) =
        (next(), next(), next(), next(), next());
    let Some(base) = commit(base_name, base_tree) else {
        return Err(Failure::new(
            Code::GitError,
            format!("the commit {base} is gone from the repository"),
        ));
    };
    let head = match commit(head_name, head_tree) {
        Some(head) => head,
        None => stands_nowhere(scene)?.unwrap_or_else(|| base.clone()),
    };
    Ok(Points { base, head, kept, named: answers.flatten().collect() })
}

fn commit(name: Option<String>, tree: Option<String>) -> Option<Commit> {
    Some(Commit { name: name?, tree: tree? })
}

/// `HEAD` leads to no commit: fine on a branch that is yet to be born, lost work if it names one that is gone.
fn stands_nowhere(scene: &Scene<'_>) -> Result<Option<Commit>> {
    let entry = scene.entry.expect("without an entry the base was asked for twice");
    let content = plain::read(&entry.join("HEAD")).unwrap_or_default();
    let content = String::from_utf8_lossy(&content);
    if is_object_name(content.trim()) {
        let message = format!("the commit {} that the worktree stands on is gone", content.trim());
        return Err(Failure::new(Code::GitError, message));
    }
    Ok(None)
}

/// Puts what was left under the ref; `None` if that is nothing. Another ender may do the same: who comes second keeps
/// both, which mostly are the same.
fn keep(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    points: &Points,
    tree: &str,
    left_behind: &[String],
) -> Result<Option<String>> {
    let name = preserved_ref(scene.request.run);
    let mut kept = points.kept.clone();
    for attempt in 1.. {
        let Some(target) = to_keep(h, scene, points, tree, left_behind, kept.as_deref())? else {
            if kept.is_none() {
                return Ok(None);
            }
            // Whoever put it there may have died before its sync.
            break;
        };
        // Only from what it was: an empty name means that the ref is not there.
        let old = kept.as_deref().unwrap_or_default();
        let words = ["update-ref", "--no-deref", &name, &target, old];
        match scene.ask(h, "cannot keep the work under a ref", &words) {
            Ok(_) => break,
            Err(failure) if attempt == ATTEMPTS => return Err(failure),
            Err(_) => kept = kept_before(h, scene)?,
        }
    }
    sync(scene.request.common_dir)?;
    Ok(Some(name))
}

/// What the ref is to name, if it is not what it names already.
fn to_keep(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    points: &Points,
    tree: &str,
    left_behind: &[String],
    kept: Option<&str>,
) -> Result<Option<String>> {
    let changed = tree != points.head.tree;
    let target = if changed || !left_behind.is_empty() {
        Some(join(h, scene, points, tree, left_behind)?)
    } else {
        (points.head != points.base).then(|| points.head.name.clone())
    };
    match (target, kept) {
        (Some(target), Some(kept)) if target != kept => {
            let parents: Vec<_> = left_behind.iter().cloned().chain([kept.to_owned()]).collect();
            join(h, scene, points, tree, &parents).map(Some)
        }
        (target, None) => Ok(target),
        (_, Some(_)) => Ok(None),
    }
}

/// A commit of `tree` on top of where the run stands, with what was left behind as further parents. `commit-tree`
/// runs no hook and never signs; the date is the run's, so that the same work gives the same commit.
fn join(
    h: &mut dyn Helpers,
    scene: &Scene<'_>,
    points: &Points,
    tree: &str,
    others: &[String],
) -> Result<String> {
    let Request { run, base_commit, .. } = scene.request;
    let mut git = scene.git();
    git.args(["commit-tree", tree, "-p", &points.head.name]);
    for parent in others.iter().filter(|parent| **parent != points.head.name) {
        git.args(["-p", parent]);
    }
    git.args(["-m", &subject(run), "-m", &format!("Run: {run}\nBase: {base_commit}")]);
    if let Ok(ulid) = Ulid::from_string(run.ulid()) {
        let date = format!("@{} +0000", ulid.timestamp_ms() / 1000);
        git.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
    }
    let output = command::checked(h, git, None, "cannot commit what was left behind")?;
    let name = String::from_utf8_lossy(&output).trim().to_owned();
    if is_object_name(&name) {
        Ok(name)
    } else {
        Err(Failure::internal(format!("git named the commit {name:?}")))
    }
}

/// Our own git syncs what it writes, but the worker's did not, and neither syncs directories.
#[cfg(target_os = "linux")]
fn sync(common_dir: &Path) -> Result<()> {
    let directory = fs_err::File::open(common_dir)?;
    rustix::fs::syncfs(&directory)
        .map_err(|error| Failure::io("cannot write the saved work to the disk", error))
}

/// There is no call for one file system here.
#[cfg(not(target_os = "linux"))]
fn sync(_common_dir: &Path) -> Result<()> {
    rustix::fs::sync();
    Ok(())
}
