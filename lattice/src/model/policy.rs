//! What the workflow in `config.json` allows.

use serde_json::Value;

use super::config::Config;

/// Where a task may go from `status`: its own transitions, then the targets that are always allowed, each once.
pub fn valid_transitions(config: &Config, status: &str) -> Vec<String> {
    let workflow = config.raw().get("workflow").unwrap_or(&Value::Null);
    let own = workflow.get("transitions").and_then(|transitions| transitions.get(status));
    let always = workflow.get("universal_targets");
    let mut targets: Vec<String> = Vec::new();
    for target in [own, always]
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(Value::as_str)
    {
        if !targets.iter().any(|known| known == target) {
            targets.push(target.to_owned());
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn own_transitions_come_first_and_none_twice() {
        let config = Config::from_value(json!({"workflow": {
            "transitions": {"a": ["b", "c"], "odd": 3},
            "universal_targets": ["z", "c"],
        }}));
        assert_eq!(valid_transitions(&config, "a"), ["b", "c", "z"]);
        assert_eq!(valid_transitions(&config, "odd"), ["z", "c"]);
        assert!(valid_transitions(&Config::default(), "a").is_empty());
    }
}
