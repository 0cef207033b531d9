//! Holding a run to what its definition allows, from its first setup command on: by a control group of its own, if it may
//! have one, else by looking.

use std::time::Instant;

use lattice::model::outcome::{Exit, Facts, Reason};
use lattice::process::gauge::Gauge;
use lattice::runs::{allowance, spare};

use crate::shim::{Shim, is_of_kill};

impl Shim<'_> {
    pub(crate) fn hold(&mut self) {
        let allowed = allowance::together(&self.seat.spec);
        let group = self.turns.group.take();
        self.turns.group =
            group.filter(|group| group.make(allowed.memory, allowed.processes).is_ok());
        self.gauge = Gauge::new(allowed, self.turns.group.clone());
    }

    pub(crate) fn uses_too_much(&mut self) -> Option<Reason> {
        let (own, beside) = (&self.seat.id, self.turns.beside());
        let spared = |pid| Some(pid) == beside || spare::is_other_supervisor(own, pid);
        self.gauge.as_mut().and_then(|gauge| gauge.exceeded(&spared))
    }

    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.gauge.as_ref().map(Gauge::next_look)
    }

    /// The limit that a process has met which came to its end by itself.
    pub(crate) fn met(&self, exit: Exit) -> Option<Reason> {
        let spec = &self.seat.spec;
        if let Some(group) = self.turns.group.as_ref().filter(|_| exit.code != Some(0)) {
            if is_of_kill(exit) && group.oom_kills() > 0 {
                return Some(Reason::OomKilled);
            } else if spec.limits.processes.is_some() && group.refused_forks() > 0 {
                return Some(Reason::ProcessLimit);
            }
        }
        let cpu_is_spent = self.gauge.as_ref().is_some_and(Gauge::cpu_is_spent);
        allowance::met(spec, exit, cpu_is_spent)
    }

    pub(crate) fn limited(&self, reason: Reason) -> Facts {
        Facts { error: allowance::sentence(&self.seat.spec, reason), ..Facts::new(reason) }
    }
}
