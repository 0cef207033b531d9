//! `finish`: ends a run whose supervisors are both dead, for a caller that has taken its life lock.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lattice::model::failure::{Failure, Result};
use lattice::model::outcome::EndedBy;
use lattice::model::run::Engine;
use lattice::process::channel::Channel;
use lattice::process::helper::{HelperOutput, Helpers};
use lattice::process::hunt::{self, Marks};
use lattice::process::identity;
use lattice::process::tree::Swept;
use lattice::runs::context::cookie;
use lattice::runs::end::hands::Hands;
use lattice::runs::end::leftover::Leftover;
use lattice::runs::end::sequence::{self, End, Ending};
use lattice::runs::examine::{self, Verdict};
use lattice::runs::reap;
use lattice::runs::{secrets, spare, store};

use nix::unistd::alarm;

use crate::loops::Loop;
use crate::seat::{self, Seat};
use crate::shim::END_LIMIT;

const GRACE: Duration = Duration::from_secs(2);

#[inline(never)]
pub(crate) fn run(directory: &Path, forced: bool) -> Result<()> {
    let (seat, caller) = seat::take(directory)?;
    bound_own_life(&seat);
    // `ps` says "ending" from here on. A full disk does not let it be written, and must not stop the end.
    drop(seat::publish_unsynced(&identity::own(), &seat.run.reaper()));
    let (answer, leftover) = match finish(&seat, forced) {
        Ok(Ending::Whole(leftover)) => ("done".to_owned(), Some(leftover)),
        Ok(Ending::Left(failure)) => (format!("its end could not be written yet: {failure}"), None),
        Err(failure) => (failure.to_string().replace('\n', " "), None),
    };
    say(&caller, &answer);
    drop(caller);
    if let Some(leftover) = leftover {
        seat.free(leftover);
    }
    Ok(())
}

/// Nobody stands behind a finisher. One that hangs dies of SIGALRM, its lock falls, and the next caller begins again:
/// each step of the end may be cut off and repeated.
fn bound_own_life(seat: &Seat) {
    let limit = END_LIMIT + Duration::from_millis(seat.spec.end_limit_ms);
    alarm::set(u32::try_from(limit.as_secs()).unwrap_or(u32::MAX));
}

/// A caller that has lost its patience is gone, and nobody else is to be told.
fn say(caller: &Channel, answer: &str) {
    drop(caller.send(answer));
}

fn finish(seat: &Seat, forced: bool) -> Result<Ending> {
    let turns = Loop::new(&seat.spec, None)?;
    let mut facts = match examine::examine(&seat.layout, &seat.run, &seat.spec, forced)? {
        Verdict::Dead(facts) => facts,
        Verdict::NeverRan => {
            reap::remove_unborn(&seat.layout, &seat.run, &seat.spec)?;
            return Ok(Ending::Whole(Leftover::nothing(seat.run.retired())));
        }
        Verdict::Leave(why) => {
            return Ok(Ending::Left(Failure::internal(why)));
        }
    };
    let mut reaper = Reaper { seat, turns };
    reaper.sweep()?.note_in(&mut facts);
    let Seat { run, spec, layout, .. } = seat;
    // The secrets of an environment have died with it.
    let mask = (!spec.has_secrets).then(|| secrets::of_project(spec));
    let end = End { layout, run, spec, by: EndedBy::Reaper, mask: mask.as_ref(), pool: None };
    sequence::run(&end, facts, &mut reaper)
}

/// Nobody's parent: it finds the run's processes by their marks.
struct Reaper<'a> {
    seat: &'a Seat,
    turns: Loop,
}

fn marks(seat: &Seat) -> Marks {
    let engine = seat.run.engine_identity();
    Marks {
        cookie: cookie(&seat.id),
        pipe: engine.as_ref().map(|engine| engine.pipe_inode),
        since_ticks: seat.run.supervisors().map(|supervisors| supervisors.warden.start_ticks),
        leader: engine.as_ref().map(Engine::identity),
        worktree: seat.spec.worktree_path.clone(),
    }
}

impl Helpers for Reaper<'_> {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        self.turns.run(command, stdin, limit)
    }

    fn run_unheard(
        &mut self,
        command: Command,
        stdin: Vec<u8>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        self.turns.run_unheard(command, stdin, limit)
    }
}

impl Hands for Reaper<'_> {
    /// The marks are numbers of one boot of one kernel; under another they are somebody else's.
    fn sweep(&mut self) -> io::Result<Swept> {
        if self.seat.spec.boot_id != store::boot_id() {
            return Ok(Swept::default());
        }
        let own = self.seat.id.clone();
        let spared = move |pid| {
            spare::is_other_supervisor(&own, pid) || spare::is_of_other_finisher(&own, pid)
        };
        let turns = &mut self.turns;
        let swept = hunt::end(&marks(self.seat), GRACE, turns.patience, &spared, &mut |time| {
            turns.turn(Some(Instant::now() + time))?;
            Ok(false)
        })?;
        let swept = swept.and(turns.end_group()?);
        turns.note_survivors(&swept);
        Ok(swept)
    }

    fn pause(&mut self, time: Duration) -> io::Result<()> {
        self.turns.pause(time)
    }

    fn let_orphans_go(&mut self) -> io::Result<()> {
        self.turns.let_orphans_go()
    }
}
