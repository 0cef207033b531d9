//! When a process that was let through the gate must end. All of it is time awake: neither a closed lid nor a clock
//! that is set brings an end nearer or puts it off (clock_gettime(2), CLOCK_MONOTONIC).

use std::time::Instant;

use lattice::model::outcome::Reason;

pub(crate) struct Limits {
    pub(crate) deadline: Instant,
    /// When it will have been silent for too long.
    pub(crate) silent_until: Option<Instant>,
    /// It has told its result, and so long it may take to exit. Its time is then no longer its own.
    pub(crate) lingers_until: Option<Instant>,
}

impl Limits {
    /// Why it must end now, if it must.
    pub(crate) fn passed(&self, now: Instant) -> Option<Reason> {
        let over = |limit: Option<Instant>| limit.is_some_and(|at| now >= at);
        let settled = self.lingers_until.is_some();
        if over(self.lingers_until) || settled && now >= self.deadline {
            Some(Reason::Exited)
        } else if now >= self.deadline {
            Some(Reason::TimedOut)
        } else if !settled && over(self.silent_until) {
            Some(Reason::Idle)
        } else {
            None
        }
    }

    /// When to look again.
    pub(crate) fn next(&self) -> Instant {
        let others = [self.silent_until, self.lingers_until];
        others.into_iter().flatten().fold(self.deadline, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn m11_the_first_limit_decides_and_is_what_is_waited_for() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let limits = |silent: Option<u64>, lingers: Option<u64>| Limits {
            deadline: at(100),
            silent_until: silent.map(at),
            lingers_until: lingers.map(at),
        };
        let (before, exactly) = (at(99), at(100));
        assert_eq!(limits(None, None).passed(before), None);
        assert_eq!(limits(None, None).passed(exactly), Some(Reason::TimedOut));
        assert_eq!(limits(None, None).next(), exactly);

        assert_eq!(limits(Some(50), None).passed(at(49)), None);
        assert_eq!(limits(Some(50), None).passed(at(50)), Some(Reason::Idle));
        assert_eq!(limits(Some(50), None).next(), at(50));
        assert_eq!(limits(Some(150), None).passed(at(100)), Some(Reason::TimedOut));

        // Whoever has told its result may be silent, and is never late.
        assert_eq!(limits(Some(50), Some(60)).passed(at(55)), None);
        assert_eq!(limits(Some(50), Some(60)).passed(at(60)), Some(Reason::Exited));
        assert_eq!(limits(None, Some(150)).passed(at(100)), Some(Reason::Exited));
        assert_eq!(limits(None, Some(60)).next(), at(60));
    }
}
