//! The order of the end, and why it is this one.
//!
//! Publishing `terminal.json` is the end; everything behind it only copies that decision. Before it nothing is
//! deleted; behind it every step may be cut off anywhere and is taken up again by whoever holds the lock next.

use std::time::{Duration, Instant, SystemTime};

use super::hands::Hands;
use super::leftover::Leftover;
use super::{clear, commit, hooks, publish, retire, save, told};
use crate::model::event::Event;
use crate::model::failure::{Failure, Result};
use crate::model::mask::Mask;
use crate::model::outcome::{EndedBy, Facts, conclude};
use crate::model::run::Spec;
use crate::model::terminal::{self, limit_minutes};
use crate::model::time;
use crate::runs::directory::RunDir;
use crate::runs::pool::Checkout;
use crate::storage::layout::Layout;

/// A log that is full or locked is tried again for this long; then the next call of anybody goes on.
const PATIENCE: Duration = Duration::from_mins(10);

/// One run at its end. The caller holds its life lock.
pub struct End<'a> {
    pub layout: &'a Layout,
    pub run: &'a RunDir,
    pub spec: &'a Spec,
    pub by: EndedBy,
    /// Absent where the engine's environment is unknown: then no text of the engine is recorded.
    pub mask: Option<&'a Mask>,
    /// Where the worktree may become one of the pool.
    pub pool: Option<&'a Checkout>,
}

/// How far it came.
#[derive(Debug)]
pub enum Ending {
    /// All but the disk, which is freed when the caller has let everybody go who waits.
    Whole(Leftover),
    /// What is missing is left to the next call, with everything it needs in the directory.
    Left(Failure),
}

/// E1 to E6; E0, the first sweep, is part of how the caller came to its facts.
pub fn run(end: &End<'_>, facts: Facts, hands: &mut dyn Hands) -> Result<Ending> {
    recorded(end, facts, hands).map(|(_, ending)| ending)
}

/// The same, with the terminal event that is, or for a debug run would have been, recorded.
pub fn recorded(end: &End<'_>, facts: Facts, hands: &mut dyn Hands) -> Result<(Event, Ending)> {
    let record = match commit::published(end.run)? {
        Some(record) => record,
        None => decide(end, facts, hands)?,
    };
    let told = if end.spec.record {
        match publish_patiently(end, &record, hands) {
            Ok(told) => told,
            Err(failure) => return Ok((record, Ending::Left(failure))),
        }
    } else {
        record.clone()
    };
    // By our own record: whatever another ender could save, what we could not stays.
    let cleared = clear::worktree(end, &record);
    clear::group(end);
    let record = told;
    if end.spec.record {
        hands.let_orphans_go()?;
        hooks::fire_once(end, &record, hands);
        keep_record_patiently(end, &record, hands)?;
    } else {
        retire::keep_report(end, &record)?;
    }
    // The directory leads to the worktree, so it stays as long as that does without being named in the record.
    match cleared {
        Ok(slot) => {
            let left = retire::directory(end)?;
            Ok((record, Ending::Whole(left.with(slot))))
        }
        Err(failure) => Ok((record, Ending::Left(failure))),
    }
}

/// E1 and E2. A helper of E1 may have left processes behind, so the sweep comes once more before the record.
fn decide(end: &End<'_>, mut facts: Facts, hands: &mut dyn Hands) -> Result<Event> {
    told::complete(end, &mut facts);
    let mut remains = save::remains(end, &facts, hands);
    hands.sweep()?.note_in(&mut facts);
    facts.log_losses.dropped = facts.log_losses.dropped.max(save::log_hole(end));
    if facts.survivors.any()
        && let Some(worktree) = end.spec.worktree_path.as_ref().filter(|path| path.exists())
    {
        let why = "processes of the run are still alive".to_owned();
        remains.kept_worktree.get_or_insert((worktree.display().to_string(), why));
    }
    // Before anything is cut: half a secret is not recognised as one.
    if let Some(mask) = end.mask {
        facts.error = facts.error.map(|error| mask.apply(&error));
        remains.kept_worktree = remains.kept_worktree.map(|(path, why)| (path, mask.apply(&why)));
    }
    let mut conclusion =
        conclude(&facts, remains.report_missing, limit_minutes(end.spec.timeout_ms));
    if let Some(suspect) = remains.suspect {
        conclusion = conclusion.or_blame(suspect);
    }
    if let Some(words) = &remains.words {
        conclusion = words.weigh(conclusion);
    }
    if let Some(mask) = end.mask {
        conclusion.sentence = mask.apply(&conclusion.sentence);
    }
    let ts = time::timestamp(SystemTime::now());
    let event = terminal::terminal(end.spec, &facts, &remains, end.by, &conclusion, ts);
    commit::publish(end.run, event)
}

/// E3. The worktree is cleared before the first retry: on a full disk that may be the space which is missing.
fn publish_patiently(end: &End<'_>, record: &Event, hands: &mut dyn Hands) -> Result<Event> {
    let first = match publish::append(end, record) {
        Ok(told) => return Ok(told),
        Err(first) => first,
    };
    // Done again, and its failure told, when the line is written.
    drop(clear::worktree(end, record));
    clear::free(end.spec);
    patiently(hands, first, &mut || publish::append(end, record))
}

fn keep_record_patiently(end: &End<'_>, record: &Event, hands: &mut dyn Hands) -> Result<()> {
    match retire::keep_record(end, record) {
        Ok(()) => Ok(()),
        Err(first) => {
            clear::free(end.spec);
            patiently(hands, first, &mut || retire::keep_record(end, record))
        }
    }
}

fn patiently<T>(
    hands: &mut dyn Hands,
    first: Failure,
    attempt: &mut dyn FnMut() -> Result<T>,
) -> Result<T> {
    let begin = Instant::now();
    let mut wait = Duration::from_millis(50);
    let mut last = first;
    while begin.elapsed() < PATIENCE {
        hands.pause(wait)?;
        wait = (wait * 2).min(Duration::from_secs(5));
        match attempt() {
            Ok(done) => return Ok(done),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}
