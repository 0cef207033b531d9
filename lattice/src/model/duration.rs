//! Durations as people type them: `90s`, `10m`, `2h`, `1h 30m`, or a bare number of the usual unit.

use std::time::Duration;

/// A limit on a run; a bare number means minutes, like `timeout_minutes` in a definition.
pub fn minutes(text: &str) -> Result<Duration, String> {
    parse(text, 60.0, "minutes")
}

/// A limit on waiting; a bare number means seconds.
pub fn seconds(text: &str) -> Result<Duration, String> {
    parse(text, 1.0, "seconds")
}

fn parse(text: &str, unit: f64, name: &str) -> Result<Duration, String> {
    let wrong = || format!("use a duration such as 90s, 10m or 2h, or a number of {name}");
    if let Ok(number) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(number * unit).map_err(|_| wrong());
    }
    humantime::parse_duration(text).map_err(|_| wrong())
}

/// The shortest such text for a duration.
pub fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_has_the_usual_unit() {
        assert_eq!(minutes("10"), Ok(Duration::from_mins(10)));
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        assert_eq!(seconds("10"), Ok(Duration::from_secs(10)));
        assert_eq!(
            (minutes("90s"), seconds("2h")),
            (Ok(Duration::from_secs(90)), Ok(Duration::from_hours(2)))
        );
        for wrong in ["", "-1", "x", "inf", "NaN", "5 parsecs", "1e300"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
