//! The steps of the end, E0 to E6, which shim, warden and reapers share.

use super::processes::{Steps, take};
use super::state::{At, Daemon, Dir, Engine, Mistake, Record, State, Who};

pub fn is_of_the_end(at: At) -> bool {
    use At::{
        Draft, Forget, Keep, Killing, Link, Publish, Published, Rename, Resweep, Retire, Retry,
        Save, Sweep,
    };
    matches!(
        at,
        Sweep
            | Killing
            | Published
            | Save
            | Resweep
            | Draft
            | Link
            | Publish
            | Rename
            | Forget
            | Retry
            | Keep
            | Retire
    )
}

const TREE: &str = "lattice/src/process/tree.rs::end";
const HUNT: &str = "lattice/src/process/hunt.rs::end";
const RECORDED: &str = "lattice/src/runs/end/commit.rs::published";
const SAVE: &str = "lattice/src/runs/end/save.rs::remains";
const DECIDE: &str = "lattice/src/runs/end/sequence.rs::decide";
const DRAFT: &str = "lattice/src/runs/end/commit.rs::draft";
const LINK: &str = "lattice/src/runs/end/commit.rs::publish";
const APPEND: &str = "lattice/src/runs/end/publish.rs::append";
const PATIENTLY: &str = "lattice/src/runs/end/sequence.rs::patiently";
const CLEAR: &str = "lattice/src/runs/end/clear.rs::worktree";
const KEEP: &str = "lattice/src/runs/end/retire.rs::keep_record";
const RETIRE: &str = "lattice/src/runs/end/retire.rs::directory";

pub fn step(state: &State, who: Who, mistake: Option<Mistake>, found: &mut Steps) {
    match state.of(who).at {
        At::Sweep | At::Killing | At::Published | At::Save | At::Resweep => {
            before_the_record(state, who, mistake, found);
        }
        At::Draft | At::Link => the_record(state, who, mistake, found),
        _ => after_the_record(state, who, mistake, found),
    }
}

fn sweeper(who: Who) -> &'static str {
    if matches!(who, Who::ReaperA | Who::ReaperB) { HUNT } else { TREE }
}

/// Kills leader and group, and what has left the group too. The leader is reaped last.
fn swept(to: &mut State, mistake: Option<Mistake>) {
    to.stranger_killed |= to.stranger;
    if to.engine != Engine::None {
        to.engine = Engine::Reaped;
    }
    if to.daemon == Daemon::Alive && mistake != Some(Mistake::GroupKill) {
        to.daemon = Daemon::Dead;
    }
}

fn before_the_record(state: &State, who: Who, mistake: Option<Mistake>, found: &mut Steps) {
    let early = mistake == Some(Mistake::EarlyReap) && who != Who::ReaperA && who != Who::ReaperB;
    match state.of(who).at {
        At::Sweep if early => take(found, state, who, TREE, At::Killing, |to| {
            if to.engine != Engine::None {
                to.engine = Engine::Reaped;
            }
        }),
        At::Sweep | At::Killing => {
            take(found, state, who, sweeper(who), At::Published, |to| swept(to, mistake));
        }
        At::Published => match state.terminal.filter(|_| state.dir == Dir::Run) {
            Some(_) => take(found, state, who, RECORDED, At::Publish, |to| {
                to.of_mut(who).record = state.terminal;
            }),
            None => take(found, state, who, RECORDED, At::Save, |_| {}),
        },
        At::Save => take(found, state, who, SAVE, At::Resweep, |to| {
            to.of_mut(who).veto = !state.room() && (state.tree || state.entry);
        }),
        At::Resweep => take(found, state, who, DECIDE, At::Draft, |to| swept(to, mistake)),
        _ => {}
    }
}

fn the_record(state: &State, who: Who, mistake: Option<Mistake>, found: &mut Steps) {
    let own = Record { kept: state.of(who).veto, stray: state.dir != Dir::Run };
    match state.of(who).at {
        // Without a directory the check under the task's locks is the only guard.
        At::Draft if state.dir != Dir::Run => take(found, state, who, LINK, At::Publish, |to| {
            to.of_mut(who).record = Some(own);
        }),
        At::Draft if state.reserves > 0 => {
            take(found, state, who, DRAFT, At::Link, |to| to.reserves -= 1);
        }
        At::Draft if state.room() => take(found, state, who, DRAFT, At::Link, |_| {}),
        At::Draft => give_up(found, state, who, DRAFT),
        At::Link if state.dir != Dir::Run => give_up(found, state, who, LINK),
        At::Link => take(found, state, who, LINK, At::Publish, |to| {
            match to.terminal {
                Some(_) if mistake == Some(Mistake::Replace) => {
                    to.replaced = true;
                    to.terminal = Some(own);
                }
                Some(_) => {}
                None => to.terminal = Some(own),
            }
            to.of_mut(who).record = to.terminal;
            to.of_mut(who).veto = false;
        }),
        _ => {}
    }
}

fn after_the_record(state: &State, who: Who, mistake: Option<Mistake>, found: &mut Steps) {
    let room = state.room();
    let keeps = state.of(who).record.is_some_and(|record| record.kept);
    match state.of(who).at {
        At::Publish if room => {
            take(found, state, who, APPEND, At::Rename, |to| append(to, who, mistake));
        }
        // The space that the worktree holds may be the one that is missing.
        At::Publish => take(found, state, who, CLEAR, At::Retry, |to| {
            to.tree &= keeps;
            to.entry &= keeps;
        }),
        At::Retry if room => {
            take(found, state, who, APPEND, At::Rename, |to| append(to, who, mistake));
        }
        // The patience is over: what is missing is left to the next call.
        At::Retry if is_reaper(who) => {
            take(found, state, who, PATIENTLY, At::Off, |to| to.leave(who, At::Off));
        }
        At::Retry => take(found, state, who, PATIENTLY, At::Done, |_| {}),
        At::Rename => take(found, state, who, CLEAR, At::Forget, |to| to.tree &= keeps),
        At::Forget => take(found, state, who, CLEAR, At::Keep, |to| to.entry &= keeps),
        At::Keep if room => take(found, state, who, KEEP, At::Retire, |to| {
            let stray = to.of(who).record.is_some_and(|record| record.stray);
            to.replaced |= stray && to.kept_record;
            to.kept_record = true;
        }),
        At::Keep => give_up(found, state, who, KEEP),
        At::Retire if is_reaper(who) => take(found, state, who, RETIRE, At::Off, |to| {
            to.leave(who, At::Off);
            to.dir = Dir::Gone;
        }),
        At::Retire => take(found, state, who, RETIRE, At::Done, |to| to.dir = Dir::Gone),
        _ => {}
    }
}

/// Under the task's locks, so in one step: a start that is missing, and an end if there is none.
fn append(to: &mut State, who: Who, mistake: Option<Mistake>) {
    if !to.start && !to.copy {
        return;
    }
    to.start = true;
    // The end that the log has is the end: it is also the one that is kept.
    if to.ends > 0
        && mistake != Some(Mistake::OwnWord)
        && let Some(record) = &mut to.of_mut(who).record
    {
        record.stray = false;
    }
    if to.ends == 0 || mistake == Some(Mistake::BlindAppend) {
        to.ends += 1;
    }
}

/// A failure, with which the next supervisor goes on.
fn give_up(found: &mut Steps, state: &State, who: Who, by: &'static str) {
    if is_reaper(who) {
        take(found, state, who, by, At::Off, |to| to.leave(who, At::Off));
    } else {
        take(found, state, who, by, At::Dead, |_| {});
    }
}

fn is_reaper(who: Who) -> bool {
    matches!(who, Who::ReaperA | Who::ReaperB)
}
