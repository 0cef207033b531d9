//! Waiting for a process that was let through the gate, and ending its tree.

use std::time::{Duration, Instant};

use lattice::controls::{self, Control};
use lattice::model::outcome::{Exit, Reason};
use lattice::model::run::Spec;
use lattice::process::monotonic::Moment;
use lattice::process::oom::Toll;
use lattice::process::reap::{self, Child, Usage};
use lattice::process::table;
use lattice::process::tree::Swept;
use lattice::runs::directory;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::messages::Message;
use crate::shim::Shim;

/// A stop request whose signal never came is found at the next look.
const TICK: Duration = Duration::from_secs(5);

/// For what a leader that exited by itself has left behind.
pub(crate) const SWEEP_GRACE: Duration = Duration::from_secs(2);

/// The wait for one process, in words that outlive an `exec`.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Vigil {
    pub(crate) leader: i32,
    pub(crate) deadline: Moment,
    pub(crate) idle_ms: Option<u64>,
    pub(crate) result_grace_ms: u64,
    /// What all children before it had used.
    pub(crate) before: Option<Usage>,
    pub(crate) toll: Toll,
}

impl Vigil {
    pub(crate) fn new(leader: i32, limit: Duration, spec: &Spec) -> Self {
        Self {
            leader,
            deadline: Moment::now().after(limit),
            idle_ms: None,
            result_grace_ms: spec.result_grace_ms,
            before: None,
            toll: Toll::default(),
        }
    }
}

/// How a tree came to its end.
pub(crate) struct Finished {
    /// The leader's, as the kernel told it.
    pub(crate) exit: Exit,
    /// Why we ended it; `None` if the leader exited before we sent anything.
    pub(crate) ended: Option<Reason>,
    pub(crate) swept: Swept,
}

impl Shim<'_> {
    /// Until the leader has exited or must be ended. A leader that has exited decides, even if a stop came with it.
    pub(crate) fn supervise(&mut self, vigil: &Vigil) -> Finished {
        let leader = vigil.leader;
        loop {
            if let Child::Exited(exit) = reap::peek(leader) {
                // Of a setup command's exit the run's end says nothing.
                if self.engine == Some(leader) {
                    self.turns.tell(&Message::Exited { exit });
                }
                return self.clear(leader, None, SWEEP_GRACE);
            }
            self.hear_whether_dirty();
            self.turns.reap_orphans(leader);
            let limits = self.limits(vigil);
            if let Some(reason) = self.must_end(&limits) {
                self.turns.announce(&Message::Ending { reason, error: None });
                let grace = match reason {
                    // What asks for ever more of it is not given time to ask.
                    Reason::MemoryLimit | Reason::ProcessLimit => Duration::ZERO,
                    _ => self.grace(),
                };
                if reason == Reason::Exited {
                    // What it says while it is being ended is not its result.
                    self.told = self.turns.told();
                }
                return self.clear(leader, Some(reason), grace);
            }
            self.renew_when_due(vigil);
            let next = limits.next().min(Instant::now() + TICK);
            let next = self.renew_at.map_or(next, |due| due.min(next));
            let next = self.next_look().map_or(next, |look| look.min(next));
            if self.turns.patient_turn(next).is_err() {
                return self.clear(leader, Some(Reason::Internal), SWEEP_GRACE);
            }
        }
    }

    fn must_end(&mut self, limits: &Limits) -> Option<Reason> {
        if self.stop_is_wanted() {
            Some(Reason::Stopped)
        } else {
            self.uses_too_much().or_else(|| limits.passed(Instant::now()))
        }
    }

    fn limits(&self, vigil: &Vigil) -> Limits {
        let deadline = vigil.deadline.instant();
        let grace = Duration::from_millis(vigil.result_grace_ms);
        let lingers = |since: Instant| if self.turns.waits() { deadline } else { since + grace };
        let idle = vigil.idle_ms.map(Duration::from_millis);
        Limits {
            deadline,
            silent_until: idle.map(|idle| self.turns.last_output + idle),
            lingers_until: self.turns.settled_since().map(lingers),
        }
    }

    /// The whole tree, with its leader as an unreaped zombie until the others are gone.
    pub(crate) fn clear(
        &mut self,
        leader: i32,
        ended: Option<Reason>,
        grace: Duration,
    ) -> Finished {
        if self.engine == Some(leader) {
            self.unbound = table::acts_as_another(leader);
        }
        let early = controls::is(Control::EarlyReap).then(|| reap::collect(leader));
        let swept = self.turns.end_tree(Some(leader), grace).unwrap_or_default();
        let exit = match early.unwrap_or_else(|| reap::collect(leader)) {
            Child::Exited(exit) => exit,
            Child::Running | Child::Unknown => Exit::default(),
        };
        // The pipe is empty now, or held by a survivor: its end is not waited for.
        drop(self.turns.take_last_output());
        Finished { exit, ended, swept }
    }

    /// A second signal, or `worker stop --now`, leaves no time.
    fn grace(&self) -> Duration {
        let request: Option<serde_json::Value> =
            directory::read_json(&self.seat.run.stop_request()).ok();
        let now =
            self.turns.stops.len() > 1 || request.is_some_and(|request| request["now"] == true);
        if now { Duration::ZERO } else { Duration::from_millis(self.seat.spec.grace_ms) }
    }
}
