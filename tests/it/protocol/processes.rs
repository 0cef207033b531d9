//! The steps of the CLI, the warden, the shim, the engine and a reaper up to the end, each named by the function that
//! takes it.

use super::end;
use super::state::{ALL, Answer, At, Daemon, Dir, Disk, Engine, Mistake, State, Who};

/// One step that may be taken next, and where it leads.
pub struct Step {
    pub who: Option<Who>,
    /// `path::function`, below the workspace.
    pub by: &'static str,
    pub to: State,
}

impl Step {
    /// A kill, a full disk, a lock that fails: nothing may rely on it.
    pub fn is_fault(&self) -> bool {
        self.by.starts_with('!')
    }
}

pub type Steps = Vec<Step>;

/// Whether reapers are killed and locks fail, or only the other three.
#[derive(Clone, Copy)]
pub struct Scope {
    pub mistake: Option<Mistake>,
    pub reaper_kills: u8,
    pub lock_may_fail: bool,
    pub disk_may_fill: bool,
}

pub fn steps(state: &State, scope: Scope) -> Steps {
    let mut found = Steps::new();
    for who in ALL {
        let at = state.of(who).at;
        match who {
            _ if end::is_of_the_end(at) => end::step(state, who, scope.mistake, &mut found),
            Who::Cli => cli(state, scope.mistake, &mut found),
            Who::Warden => warden(state, &mut found),
            Who::Shim => shim(state, scope.mistake, &mut found),
            Who::ReaperA | Who::ReaperB => reaper(state, who, scope, &mut found),
        }
    }
    engine(state, &mut found);
    faults(state, scope, &mut found);
    found
}

/// Adds the step: `change` gets the state in which the process already stands at `next`.
pub fn take(
    found: &mut Steps,
    state: &State,
    who: Who,
    by: &'static str,
    next: At,
    change: impl FnOnce(&mut State),
) {
    let mut to = *state;
    if matches!(next, At::Done | At::Dead) {
        to.leave(who, next)
    } else {
        to.of_mut(who).at = next
    }
    change(&mut to);
    found.push(Step { who: Some(who), by, to });
}

const CREATE: &str = "lattice/src/runs/create.rs::directory";
const MAKE: &str = "lattice/src/runs/create.rs::make_private";
const LOCKED: &str = "lattice/src/runs/create.rs::locked";
const FILL: &str = "lattice/src/runs/create.rs::fill";
const HANDOVER: &str = "lattice/src/runs/handover.rs::start";
const HEAR: &str = "lattice/src/runs/start.rs::hear";
const GIVE_UP: &str = "lattice/src/runs/start.rs::give_up";
const APPEND_START: &str = "lattice/src/runs/start.rs::append_start";
const RECORD_START: &str = "lattice/src/runs/start.rs::record_start";
const RECORD: &str = "lattice/src/runs/start.rs::record";
const CALL_OFF: &str = "lattice/src/runs/start.rs::call_off";

fn cli(state: &State, mistake: Option<Mistake>, found: &mut Steps) {
    let who = Who::Cli;
    let room = state.room();
    let draft = matches!(state.dir, Dir::Bare | Dir::Draft);
    match state.of(who).at {
        At::Make if room => take(found, state, who, MAKE, At::Lock, |to| to.dir = Dir::Bare),
        At::Make => take(found, state, who, MAKE, At::Done, |_| {}),
        At::Lock if draft => take(found, state, who, LOCKED, At::Fill, |to| {
            to.dir = Dir::Draft;
            to.of_mut(who).holds = true;
        }),
        At::Fill if draft && room => take(found, state, who, FILL, At::Show, |to| {
            to.reserves = 2;
            to.leads = true;
        }),
        At::Show if draft => take(found, state, who, CREATE, At::Spawn, |to| to.dir = Dir::Run),
        // Collected under its maker's hands, or no room: what is there goes.
        At::Lock | At::Fill | At::Show => take(found, state, who, CREATE, At::Done, |to| {
            if draft {
                to.dir = Dir::Gone;
            }
        }),
        At::Spawn => take(found, state, who, HANDOVER, At::Hear, |to| {
            // The lock is consumed by the spawn.
            to.of_mut(who).holds = false;
            let warden = to.of_mut(Who::Warden);
            (warden.at, warden.holds) = (At::Sit, true);
        }),
        At::Hear if state.hello => take(found, state, who, HEAR, At::Append, |_| {}),
        At::Hear if state.is_gone(Who::Warden) => {
            take(found, state, who, GIVE_UP, At::Done, |_| {});
        }
        At::Append => {
            let there = state.dir == Dir::Run || mistake == Some(Mistake::BlindStart);
            if there && room {
                take(found, state, who, APPEND_START, At::Copy, |to| to.start = true);
            } else {
                take(found, state, who, APPEND_START, At::CallOff, |_| {});
            }
        }
        At::Copy => take(found, state, who, RECORD_START, At::Go, |to| {
            to.copy |= room && to.dir == Dir::Run;
        }),
        At::Go => take(found, state, who, RECORD, At::Done, |to| to.answer = Answer::Go),
        At::CallOff => take(found, state, who, CALL_OFF, At::Done, |to| to.answer = Answer::No),
        _ => {}
    }
}

const SIT: &str = "lattice-shim/src/seat.rs::publish";
const WANTED: &str = "lattice-shim/src/warden.rs::is_wanted";
const BEGUN: &str = "lattice-shim/src/warden.rs::has_begun";
const REMOVE: &str = "lattice/src/runs/reap.rs::remove";
const BEGIN: &str = "lattice-shim/src/warden.rs::start";
const WATCH: &str = "lattice-shim/src/warden.rs::watch";
const FINISH: &str = "lattice-shim/src/warden.rs::finish";

fn warden(state: &State, found: &mut Steps) {
    let who = Who::Warden;
    match state.of(who).at {
        At::Sit if state.room() => take(found, state, who, SIT, At::Wanted, |to| to.hello = true),
        At::Sit => take(found, state, who, SIT, At::Dead, |_| {}),
        At::Wanted => match state.answer {
            Answer::Go => take(found, state, who, WANTED, At::Begin, |_| {}),
            Answer::No => take(found, state, who, WANTED, At::Remove, |_| {}),
            Answer::None if state.is_gone(Who::Cli) && state.start => {
                take(found, state, who, BEGUN, At::Begin, |to| {
                    to.copy |= state.room() && to.dir == Dir::Run;
                });
            }
            Answer::None if state.is_gone(Who::Cli) => {
                take(found, state, who, BEGUN, At::Remove, |_| {});
            }
            Answer::None => {}
        },
        At::Remove => take(found, state, who, REMOVE, At::Done, |to| to.dir = Dir::Gone),
        At::Begin => take(found, state, who, BEGIN, At::Watch, |to| {
            let shim = to.of_mut(Who::Shim);
            (shim.at, shim.holds) = (At::Equip, true);
        }),
        At::Watch => match state.of(Who::Shim).at {
            At::Done => take(found, state, who, WATCH, At::Done, |_| {}),
            At::Dead => take(found, state, who, FINISH, At::Sweep, |_| {}),
            _ => {}
        },
        _ => {}
    }
}

const EQUIP: &str = "lattice-shim/src/shim.rs::equip";
const WORKTREE: &str = "lattice-shim/src/worktree.rs::prepare";
const GATE: &str = "lattice-shim/src/launch.rs::start";
const OPEN: &str = "lattice-shim/src/shim.rs::open";
const SUPERVISE: &str = "lattice-shim/src/supervise.rs::supervise";

fn shim(state: &State, mistake: Option<Mistake>, found: &mut Steps) {
    let who = Who::Shim;
    let room = state.room();
    let late = mistake == Some(Mistake::LateIntent);
    match state.of(who).at {
        At::Equip if room => take(found, state, who, EQUIP, At::Entry, |to| {
            to.leads &= !late;
        }),
        At::Entry if room => take(found, state, who, WORKTREE, At::Tree, |to| to.entry = true),
        At::Tree if room => {
            let next = if late { At::Lead } else { At::Gate };
            take(found, state, who, WORKTREE, next, |to| to.tree = true);
        }
        At::Lead => take(found, state, who, WORKTREE, At::Gate, |to| to.leads = true),
        At::Gate if room => {
            take(found, state, who, GATE, At::Open, |to| to.engine = Engine::Gated);
        }
        // Whatever it could not have: there is only the end.
        At::Equip => take(found, state, who, EQUIP, At::Sweep, |_| {}),
        At::Entry | At::Tree => take(found, state, who, WORKTREE, At::Sweep, |_| {}),
        At::Gate => take(found, state, who, GATE, At::Sweep, |_| {}),
        At::Open if state.dir == Dir::Run && state.terminal.is_none() => {
            take(found, state, who, OPEN, At::Supervise, |to| to.engine = Engine::Running);
        }
        At::Open => take(found, state, who, OPEN, At::Sweep, |to| to.engine = Engine::Exited),
        // The leader has exited, or the time is over: both at any time.
        At::Supervise => take(found, state, who, SUPERVISE, At::Sweep, |_| {}),
        _ => {}
    }
}

const TAKE: &str = "lattice/src/runs/directory.rs::take";
const IS_AT: &str = "lattice/src/runs/directory.rs::is_at";
const EXAMINE: &str = "lattice/src/runs/examine.rs::examine";
const UNBORN: &str = "lattice/src/runs/reap.rs::remove_unborn";
const COLLECT: &str = "lattice/src/runs/reap.rs::collect_unfinished";

/// One call that reaps, and the finisher that it hands the run to.
fn reaper(state: &State, who: Who, scope: Scope, found: &mut Steps) {
    let mistake = scope.mistake;
    match state.of(who).at {
        At::Off if state.dir == Dir::Run => {
            take(found, state, who, TAKE, At::Take, |_| {});
        }
        At::Off if state.dir == Dir::Bare => {
            take(found, state, who, COLLECT, At::Off, |to| to.dir = Dir::Gone);
        }
        At::Off if state.dir == Dir::Draft && !state.is_held(mistake) => {
            take(found, state, who, COLLECT, At::Off, |to| to.dir = Dir::Gone);
        }
        // The lock file is open now, whatever has become of the directory.
        At::Take if !state.is_held(mistake) => {
            take(found, state, who, TAKE, At::Look, |to| to.of_mut(who).holds = true);
        }
        At::Take => {
            take(found, state, who, TAKE, At::Off, |_| {});
            let ending = ALL.iter().any(|other| end::is_of_the_end(state.of(*other).at));
            if scope.lock_may_fail && !state.lock_failed && ending {
                take(found, state, who, "!a lock that proves nothing", At::Look, |to| {
                    to.lock_failed = true;
                });
            }
        }
        At::Look if state.dir == Dir::Run => {
            take(found, state, who, IS_AT, At::Examine, |_| {});
        }
        At::Look => take(found, state, who, IS_AT, At::Off, |to| to.leave(who, At::Off)),
        At::Examine => {
            let ran = state.start || state.copy || state.terminal.is_some();
            let next = match mistake {
                _ if ran => At::Sweep,
                Some(Mistake::BlindRemoval) => At::UnbornBlind,
                _ => At::Unborn,
            };
            take(found, state, who, EXAMINE, next, |_| {});
        }
        At::Unborn => take(found, state, who, UNBORN, At::Off, |to| {
            to.leave(who, At::Off);
            if !to.start {
                to.dir = Dir::Gone;
            }
        }),
        At::UnbornBlind => take(found, state, who, UNBORN, At::Off, |to| {
            to.leave(who, At::Off);
            to.dir = Dir::Gone;
        }),
        _ => {}
    }
}

/// What the engine does by itself.
fn engine(state: &State, found: &mut Steps) {
    let mut step = |by, change: &dyn Fn(&mut State)| {
        let mut to = *state;
        change(&mut to);
        found.push(Step { who: None, by, to });
    };
    if state.engine == Engine::Running {
        step("the engine exits", &|to| to.engine = Engine::Exited);
        if state.daemon == Daemon::None {
            step("the engine leaves a daemon", &|to| to.daemon = Daemon::Alive);
        }
    }
    if state.disk == Disk::Full {
        step("somebody makes room", &|to| to.disk = Disk::Emptied);
    }
}

fn faults(state: &State, scope: Scope, found: &mut Steps) {
    for who in ALL {
        let process = state.of(who);
        let is_reaper = matches!(who, Who::ReaperA | Who::ReaperB);
        if matches!(process.at, At::Off | At::Done | At::Dead) {
            continue;
        }
        if is_reaper && state.kills == scope.reaper_kills {
            continue;
        }
        let mut to = *state;
        to.kills += u8::from(is_reaper);
        to.leave(who, if is_reaper { At::Off } else { At::Dead });
        found.push(Step { who: Some(who), by: "!SIGKILL", to });
    }
    if scope.disk_may_fill && state.disk == Disk::Room {
        found.push(Step {
            who: None,
            by: "!the disk fills",
            to: State { disk: Disk::Full, ..*state },
        });
    }
    if state.engine == Engine::Reaped
        && !state.stranger
        && scope.mistake == Some(Mistake::EarlyReap)
    {
        let to = State { stranger: true, ..*state };
        found.push(Step { who: None, by: "!a stranger gets the number", to });
    }
}
