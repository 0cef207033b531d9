//! Times as people read them: their own zone, and how long ago.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::event::one_line;

/// A moment to look from, and where it is looked from.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
    /// Without one the time is left as it is written, in UTC: a script wants to compare it.
    pub(crate) for_person: bool,
}

impl Clock {
    /// `2026-03-01 11:00:00` in the reader's zone; what is no time is shown as it is.
    pub(crate) fn local(&self, time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(time) if self.for_person => {
                time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
            _ => one_line(time).into_owned(),
        }
    }

    /// The same, and how long ago that was.
    pub(crate) fn both(&self, time: &str) -> String {
        match self.age(time).filter(|_| self.for_person) {
            Some(age) => format!("{} ({} ago)", self.local(time), short(age)),
            None => self.local(time),
        }
    }

    /// `None` for what is no time, or has not come yet.
    pub(crate) fn age(&self, time: &str) -> Option<Duration> {
        let time: Timestamp = time.parse().ok()?;
        self.now.duration_since(time).try_into().ok()
    }

    /// The time of day.
    pub(crate) fn time_of_day(&self) -> String {
        self.now.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }
}

/// `45s`, `12m 3s`, `2h 5m`, `3d 4h`: two units are enough.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz;

    use super::*;

    #[test]
    fn times_are_the_readers_own() {
        let now = "2026-03-01T10:05:00Z".parse().unwrap();
        let clock = Clock { now, zone: TimeZone::fixed(tz::offset(5)), for_person: true };
        assert_eq!(clock.both("2026-03-01T10:00:00Z"), "2026-03-01 15:00:00 (5m 0s ago)");
        assert_eq!(clock.both("2026-03-01T20:00:00Z"), "2026-03-02 01:00:00", "not yet");
        assert_eq!(clock.both("soon\n"), "soon ");
        assert_eq!(clock.time_of_day(), "15:05:00");
        let clock = Clock { for_person: false, ..clock };
        assert_eq!(clock.both("2026-03-01T10:00:00Z"), "2026-03-01T10:00:00Z");
    }

    #[test]
    fn two_units_are_enough() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (723, "12m 3s"), (7500, "2h 5m"), (273_600, "3d 4h")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
