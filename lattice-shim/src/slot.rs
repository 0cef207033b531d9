//! Waiting for a slot, if the caller has chosen that: before the run has made anything, and before its time runs.

use std::time::{Duration, Instant};

use lattice::model::outcome::{Facts, Reason};
use lattice::runs::slots::{Full, Slots};

use crate::seat::Seat;
use crate::shim::{Shim, Step, WORKTREE_LIMIT, ended_by_another};

/// Between two looks at those who have the slots. They end in an hour or in a moment, and tell nobody.
const PAUSE: Duration = Duration::from_millis(200);

/// Between two entries that are tried although they are all still there: the limit may have changed.
const LIMITS_STAND: Duration = Duration::from_secs(2);

/// For those who enter at the same time.
const TURN: Duration = Duration::from_millis(100);

/// From one sign of life to the next; the warden adds what an end may take.
const SILENCE: Duration = Duration::from_mins(1);

impl Shim<'_> {
    pub(crate) fn wait_for_slot(&mut self) -> Step {
        if !self.seat.run.is_waiting() {
            return Step::Continue(());
        }
        let begin = Instant::now();
        let entered = self.until_entered();
        self.waited = Some(begin.elapsed());
        self.patience(WORKTREE_LIMIT, Reason::WorktreeFailed);
        entered
    }

    fn until_entered(&mut self) -> Step {
        let Seat { run, spec, layout, .. } = self.seat;
        loop {
            self.patience(SILENCE, Reason::Internal);
            let entry = Slots::now(layout, spec).and_then(|slots| slots.enter(layout, run, TURN));
            if matches!(entry, Ok(None)) {
                return Step::Continue(());
            }
            // What cannot be read or locked now is looked at again, like a slot that is not free.
            let again = Instant::now() + LIMITS_STAND;
            self.sleep()?;
            while entry.as_ref().is_ok_and(|full| full.as_ref().is_some_and(Full::is_so_still))
                && Instant::now() < again
            {
                self.sleep()?;
            }
        }
    }

    fn sleep(&mut self) -> Step {
        if let Err(error) = self.turns.patient_turn(Instant::now() + PAUSE) {
            return Step::Break(Facts::new(Reason::Internal).because(error.to_string()));
        }
        self.end_if_stopped()?;
        ended_by_another(&self.seat.run)
    }
}
