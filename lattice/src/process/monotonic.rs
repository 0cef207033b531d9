//! Moments in a form that outlives an `exec`, which an `Instant` has not.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds of CLOCK_MONOTONIC, the clock of `Instant`: the same for all processes of one boot (clock_gettime(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(i64);

impl Moment {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        Self(now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec))
    }

    pub fn of(instant: Instant) -> Self {
        let (now, here) = (Self::now(), Instant::now());
        match instant.checked_duration_since(here) {
            Some(ahead) => now.after(ahead),
            None => Self(now.0.saturating_sub(nanoseconds(here - instant))),
        }
    }

    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(time)))
    }

    pub fn instant(self) -> Instant {
        let (now, here) = (Self::now(), Instant::now());
        let apart = Duration::from_nanos(self.0.abs_diff(now.0));
        let there = if self > now { here.checked_add(apart) } else { here.checked_sub(apart) };
        there.unwrap_or(here)
    }

    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(Self::now().0.saturating_sub(self.0).max(0).unsigned_abs())
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m11_there_and_back_is_the_same_moment() {
        let here = Instant::now();
        let before = here.checked_sub(Duration::from_secs(9)).unwrap();
        for instant in [here, here + Duration::from_hours(200), before] {
            let back = Moment::of(instant).instant();
            let apart = back.max(instant) - back.min(instant);
            assert!(apart < Duration::from_secs(1), "{apart:?}");
        }
        assert!(Moment::now().after(Duration::from_secs(1)) > Moment::now());
        assert!(Moment::of(before).elapsed() >= Duration::from_secs(8));
    }
}
