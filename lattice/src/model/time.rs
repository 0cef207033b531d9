//! Time as it is written: UTC, whole seconds, `YYYY-MM-DDTHH:MM:SSZ`. Reads no clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Fractions are cut off. Times before 1970 become 1970.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(UNIX_EPOCH)).to_string()
}

/// Accepts exactly what [`timestamp`] writes.
pub fn parse(text: &str) -> Option<SystemTime> {
    let exact = text.len() == 20 && text.ends_with('Z');
    exact.then(|| humantime::parse_rfc3339(text).ok())?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_ways() {
        let time = UNIX_EPOCH + Duration::from_millis(1_772_359_200_999);
        assert_eq!(timestamp(time), "2026-03-01T10:00:00Z");
        let second = UNIX_EPOCH + Duration::from_secs(1_772_359_201);
        assert_eq!(parse("2026-03-01T10:00:01Z"), Some(second));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026-03-01T10:00:00.5Z",
            "2026-03-01 10:00:00Z",
            "2026-03-01T10:00:00+00:00",
            "2026-13-01T10:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
