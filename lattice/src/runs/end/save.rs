//! E1: what the run has made is saved. A failure here never stops the record, but it vetoes deletion.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, json};

use super::hands::Hands;
use super::report_copy;
use super::sequence::End;
use crate::git::{carried, salvage, worktree};
use crate::model::engine::Outcome;
use crate::model::failure::Result;
use crate::model::ids::ArtifactId;
use crate::model::outcome::Facts;
use crate::model::suspect::Suspect;
use crate::model::terminal::Remains;
use crate::model::time;
use crate::model::words::Words;
use crate::process::{pipe, sparse};
use crate::runs::directory::RunDir;
use crate::runs::examine::is_missing;
use crate::runs::{allowance, reported, secrets, untrusted, used};
use crate::storage::artifact::{self, NewArtifact};
use crate::storage::{delete, owner, replace};

/// A longer report is cut: it is committed with the repository.
const REPORT_LIMIT: u64 = 16 * 1024 * 1024;
/// Longer than any secret that is looked for.
const CUT_MARGIN: u64 = 64 * 1024;
/// What of the log is looked at for the tail in the record.
const TAIL_WINDOW: u64 = 64 * 1024;

pub(super) fn remains(end: &End<'_>, facts: &Facts, hands: &mut dyn Hands) -> Remains {
    let words = close_box(end);
    let shares = used::told(end.run, end.mask);
    let mut remains =
        Remains { wall_seconds: wall_seconds(end), words, shares, ..Remains::default() };
    worktree_work(end, facts, hands, &mut remains);
    report(end, facts, &mut remains);
    let log = end.layout.dir.join(&end.spec.log_path);
    remains.log_bytes = fs_err::metadata(&log).map_or(0, |metadata| metadata.len());
    let lines = pipe::last_lines(&log, TAIL_WINDOW).unwrap_or_default();
    remains.grouped = allowance::group(end.spec).is_some_and(|group| group.exists());
    remains.suspect = Suspect::of(end.spec, &lines);
    if let Some(mask) = end.mask.filter(|_| end.spec.log_tail) {
        remains.log_tail = Some(mask.tail(&lines)).filter(|tail| !tail.is_empty());
    }
    remains
}

/// Who has not written the log himself sees by its hole what of it was dropped.
pub(super) fn log_hole(end: &End<'_>) -> u64 {
    let log = fs_err::File::open(end.layout.dir.join(&end.spec.log_path));
    let gap = log.ok().and_then(|log| sparse::gap(log.file()).ok().flatten());
    gap.map_or(0, |gap| gap.end - gap.start)
}

/// Words that come later are told that the run has ended, instead of being taken and lost.
fn close_box(end: &End<'_>) -> Option<Words> {
    // There already: words were reported in time, or an earlier ender closed it.
    drop(replace::publish_unsynced(&end.run.reported(), b""));
    let words = reported::read(end.run)?;
    Some(match end.mask {
        Some(mask) => words.masked(mask),
        // Masked by whoever said it, who had the environment that is not known here.
        None => words.masked(&secrets::of_project(end.spec)),
    })
}

fn wall_seconds(end: &End<'_>) -> Option<f64> {
    let started = time::parse(&end.spec.started_at)?;
    Some(SystemTime::now().duration_since(started).ok()?.as_secs_f64())
}

fn worktree_work(end: &End<'_>, facts: &Facts, hands: &mut dyn Hands, remains: &mut Remains) {
    let (Some(path), Some(common_dir)) = (&end.spec.worktree_path, &end.spec.git_dir) else {
        return;
    };
    let (entry, mut veto) = match worktree::entry(common_dir, path) {
        Ok(entry) => (entry, None),
        Err(error) => (None, Some(format!("its entry cannot be looked at: {error}"))),
    };
    if entry.is_none() && veto.is_none() && is_missing(path).unwrap_or(false) {
        return;
    }
    veto = veto.or_else(|| mounts(path));
    if !end.spec.discard && veto.is_none() && !never_began(end.run) {
        let carried: Vec<_> = end.spec.carried().cloned().collect();
        let mut left_out = carried::unchanged(&end.spec.project_root, &end.spec.cwd, &carried);
        let secret = secret_copies(end, &left_out, hands);
        left_out.extend(secret.iter().cloned());
        let exclude: Vec<_> = left_out.iter().map(|below| end.spec.prefix.join(below)).collect();
        let saved = salvage::save(
            hands,
            &salvage::Request {
                common_dir,
                entry: entry.as_deref(),
                worktree: path,
                run: &end.spec.run_id,
                base_commit: &end.spec.commit_sha,
                exclude: &exclude,
                scratch: end.run.path(),
            },
        );
        owner::inherit_repository(common_dir);
        remains.preserved_ref = saved.preserved_ref;
        let whys = saved.veto.into_iter().chain(secret.iter().map(|path| not_saved(path)));
        veto = Some(whys.collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty());
    }
    if facts.survivors.any() && veto.is_none() {
        veto = Some("processes of the run may still be alive".to_owned());
    }
    if end.spec.keep_worktree && veto.is_none() {
        veto = Some("its caller wants to look at it".to_owned());
    }
    // Also when only the entry is left: it alone may name the commits.
    if let Some(why) = veto {
        remains.kept_worktree = Some((path.display().to_string(), why));
    }
}

/// A ref may be pushed. What git ignores would not be saved in any case.
fn secret_copies(end: &End<'_>, unchanged: &[PathBuf], hands: &mut dyn Hands) -> Vec<PathBuf> {
    let known = end.mask.cloned().unwrap_or_else(|| secrets::of_project(end.spec));
    let mut found = secrets::in_changed_copies(end.spec, &known, unchanged);
    found.retain(|path| !carried::is_ignored(hands, &end.spec.cwd, path));
    found
}

fn not_saved(path: &Path) -> String {
    format!(
        "{} was copied, has changes, and holds secrets, so that it is not saved in git",
        path.display()
    )
}

/// Before the gate was opened for the first time nobody worked here: what a git that was killed has left half made
/// holds nothing of anybody's.
fn never_began(run: &RunDir) -> bool {
    run.exists() && is_missing(&run.engine()).unwrap_or(false)
}

/// Deleting through a mount would empty somebody else's directory.
fn mounts(path: &Path) -> Option<String> {
    match delete::has_mount(path) {
        Ok(false) => None,
        Ok(true) => Some("a file system is mounted inside it".to_owned()),
        Err(error) => Some(format!("its mounts cannot be listed: {error}")),
    }
}

fn report(end: &End<'_>, facts: &Facts, remains: &mut Remains) {
    if !end.spec.record {
        // The verdict is that of a recorded run, but an artifact without an event would belong to nobody.
        let left = matches!(found_report(end, facts), Ok(Some(_)));
        remains.report_missing = end.spec.report.is_some() && !left;
        return;
    }
    let attached = found_report(end, facts).and_then(|mut bytes| {
        let Some(mask) = end.mask else {
            // It stays beside the log, where it is as private as that: see `retire`.
            remains.report_withheld = bytes.is_some();
            return Ok(None);
        };
        if let (Some(bytes), Some(veil)) = (&mut bytes, mask.veil()) {
            veil.hide(bytes);
        }
        remains.report_cut = bytes.as_mut().and_then(cut);
        remains.report_copy =
            bytes.as_deref().and_then(|bytes| report_copy::write(end.spec, bytes));
        bytes.map(|bytes| attach(end, &bytes)).transpose()
    });
    match attached {
        Ok(artifact) => {
            let is_there = artifact.is_some() || remains.report_withheld;
            remains.report_missing = !is_there && end.spec.report.is_some();
            remains.artifact = artifact;
        }
        // It stays beside the log: see `retire`.
        Err(_) => remains.report_missing = end.spec.report.is_some(),
    }
}

/// The file that the engine wrote, else its last message if that is its report; some more than may be kept, so
/// that a secret at that place is hidden before it is cut. `None`: nothing, or nothing in it.
fn found_report(end: &End<'_>, facts: &Facts) -> Result<Option<Vec<u8>>> {
    let bytes = untrusted::read(&end.run.report(), REPORT_LIMIT + CUT_MARGIN)?;
    let bytes = bytes.filter(|bytes| !bytes.trim_ascii().is_empty());
    Ok(bytes.or_else(|| last_message(end, facts)))
}

/// Leaves what may be kept of a report, and says what that is.
fn cut(bytes: &mut Vec<u8>) -> Option<String> {
    let limit = usize::try_from(REPORT_LIMIT).expect("it fits an address");
    (bytes.len() > limit).then(|| {
        bytes.truncate(limit);
        format!("the report is longer than {} MiB; only its beginning is kept", REPORT_LIMIT >> 20)
    })
}

/// Of an engine that did its work: one that failed said something else.
fn last_message(end: &End<'_>, facts: &Facts) -> Option<Vec<u8>> {
    let account = &facts.told.as_ref().filter(|_| end.spec.report_from_message)?.account;
    let message = account.message.as_ref().filter(|_| account.outcome == Some(Outcome::Success))?;
    Some(format!("{}\n", message.trim_end()).into_bytes())
}

/// Payload and metadata only: the event is appended together with the terminal one.
fn attach(end: &End<'_>, bytes: &[u8]) -> Result<ArtifactId> {
    let spec = end.spec;
    let id = spec.run_id.report_artifact();
    let title = spec
        .report
        .as_ref()
        .map_or_else(|| format!("Report of {}", spec.worker), |report| report.title.clone());
    let mut custom_fields = Map::new();
    custom_fields.insert("run".to_owned(), json!(spec.run_id));
    custom_fields.insert("commit_sha".to_owned(), json!(spec.commit_sha));
    let artifact = NewArtifact {
        id: id.clone(),
        kind: "file".to_owned(),
        title,
        summary: None,
        content_type: Some("text/markdown".to_owned()),
        extension: ".md".to_owned(),
        created_at: time::timestamp(SystemTime::now()),
        created_by: json!(spec.actor),
        model: None,
        sensitive: false,
        custom_fields,
    };
    artifact::store_bytes(end.layout, &artifact, bytes)?;
    Ok(id)
}
