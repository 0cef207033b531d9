//! What git is told through the environment, whatever its configuration files say.

use std::ffi::{OsStr, OsString};

use super::rules::Variable;

/// A collection of garbage that detaches itself would be ended with the run, half done, and its lock files left.
const SETTINGS: &[(&str, &str)] =
    &[("gc.autoDetach", "false"), ("maintenance.autoDetach", "false")];

/// Adds to what the environment says already (git-config(1), GIT_CONFIG_COUNT). A count that is no number is left to
/// git, which refuses it.
pub fn with_attached_gc(mut env: Vec<Variable>) -> Vec<Variable> {
    let given = env.iter().find(|(name, _)| name == "GIT_CONFIG_COUNT").map(|(_, value)| value);
    let count = match given.map(|value| value.to_str().and_then(|text| text.parse().ok())) {
        None => 0_usize,
        Some(Some(count)) => count,
        Some(None) => return env,
    };
    env.retain(|(name, _)| name != OsStr::new("GIT_CONFIG_COUNT"));
    let mut put = |name: String, value: String| env.push((name.into(), OsString::from(value)));
    for (index, (key, value)) in SETTINGS.iter().enumerate() {
        put(format!("GIT_CONFIG_KEY_{}", count + index), (*key).to_owned());
        put(format!("GIT_CONFIG_VALUE_{}", count + index), (*value).to_owned());
    }
    put("GIT_CONFIG_COUNT".to_owned(), (count + SETTINGS.len()).to_string());
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[(&str, &str)], expected: &[(&str, &str)]) {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| (name.into(), value.into())).collect::<Vec<Variable>>()
        };
        let mut found = with_attached_gc(owned(given));
        found.sort();
        assert_eq!(found, owned(expected));
    }

    #[test]
    fn settings_come_behind_those_that_are_there() {
        let ours = [
            ("GIT_CONFIG_COUNT", "2"),
            ("GIT_CONFIG_KEY_0", "gc.autoDetach"),
            ("GIT_CONFIG_KEY_1", "maintenance.autoDetach"),
            ("GIT_CONFIG_VALUE_0", "false"),
            ("GIT_CONFIG_VALUE_1", "false"),
        ];
        check(&[], &ours);
        check(
            &[("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "a.b"), ("GIT_CONFIG_VALUE_0", "c")],
            &[
                ("GIT_CONFIG_COUNT", "3"),
                ("GIT_CONFIG_KEY_0", "a.b"),
                ("GIT_CONFIG_KEY_1", "gc.autoDetach"),
                ("GIT_CONFIG_KEY_2", "maintenance.autoDetach"),
                ("GIT_CONFIG_VALUE_0", "c"),
                ("GIT_CONFIG_VALUE_1", "false"),
                ("GIT_CONFIG_VALUE_2", "false"),
            ],
        );
        check(&[("GIT_CONFIG_COUNT", "x")], &[("GIT_CONFIG_COUNT", "x")]);
    }
}
