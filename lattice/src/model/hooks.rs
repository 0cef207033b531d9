//! Which hooks an event fires, in which order, and what they are told. Runs none of them.

use std::path::Path;

use serde_json::Value;

use super::actor;
use super::config::Config;
use super::event::{Event, STATUS_CHANGED};

/// One command of `config.json` that an event fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where it stands: `post_event`, `on.comment_added`, `transitions.review -> done`. A list's commands have
    /// their index behind it (`transitions.review -> done.1`), so that each key names one command.
    pub key: String,
    /// For `/bin/sh -c`.
    pub command: String,
}

/// First `post_event`, then `on.<type>`, then the transitions: exact, `* -> to`, `from -> *`, `* -> *`, each class
/// in the order of the file. What has another shape than it should is no hook.
pub fn hooks_for(config: &Config, event: &Event) -> Vec<Hook> {
    let mut hooks = Vec::new();
    let configured = config.raw().get("hooks").unwrap_or(&Value::Null);
    let kind = event.kind();
    let on = configured.get("on").and_then(|on| on.get(kind));
    collect(
        &mut hooks,
        "post_event",
        configured.get("post_event").filter(|value| value.is_string()),
    );
    collect(&mut hooks, &format!("on.{kind}"), on.filter(|value| value.is_string()));
    if let Some((from, to)) = transition(event) {
        let transitions = configured.get("transitions").and_then(Value::as_object);
        for wanted in 0..4 {
            for (key, commands) in transitions.into_iter().flatten() {
                if class(key, from, to) == Some(wanted) {
                    collect(&mut hooks, &format!("transitions.{key}"), Some(commands));
                }
            }
        }
    }
    hooks
}

/// What a hook finds in its environment besides the caller's. `LATTICE_ROOT` is `dir` itself, the `.lattice`
/// directory, because scripts written for the Python tool expect that.
pub fn hook_env(dir: &Path, event: &Event) -> Vec<(String, String)> {
    let task = event.get("task_id").as_str().unwrap_or_default();
    let mut env = vec![
        ("LATTICE_ROOT", dir.display().to_string()),
        ("LATTICE_TASK_ID", task.to_owned()),
        ("LATTICE_EVENT_TYPE", event.kind().to_owned()),
        ("LATTICE_EVENT_ID", event.id().to_owned()),
        ("LATTICE_ACTOR", actor::display(event.actor()).to_owned()),
    ];
    if let Some((from, to)) = transition(event) {
        env.push(("LATTICE_FROM_STATUS", from.to_owned()));
        env.push(("LATTICE_TO_STATUS", to.to_owned()));
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn transition(event: &Event) -> Option<(&str, &str)> {
    if event.kind() != STATUS_CHANGED {
        return None;
    }
    let status =
        |key| event.data().get(key).and_then(Value::as_str).filter(|status| !status.is_empty());
    Some((status("from")?, status("to")?))
}

/// Which of the four classes a key such as `* -> done` is, if it matches at all. Spaces do not count.
fn class(key: &str, from: &str, to: &str) -> Option<usize> {
    let (left, right) = key.split_once("->")?;
    let (left, right) = (left.trim(), right.trim());
    let matches = |pattern: &str, status: &str| pattern == "*" || pattern == status;
    if right.contains("->") || !matches(left, from) || !matches(right, to) {
        return None;
    }
    Some(usize::from(left == "*") + 2 * usize::from(right == "*"))
}

fn collect(hooks: &mut Vec<Hook>, key: &str, commands: Option<&Value>) {
    let mut push = |key: String, command: &Value| {
        if let Some(command) = command.as_str().filter(|command| !command.is_empty()) {
            hooks.push(Hook { key, command: command.to_owned() });
        }
    };
    match commands {
        Some(Value::Array(list)) => {
            list.iter()
                .enumerate()
                .for_each(|(index, command)| push(format!("{key}.{index}"), command));
        }
        Some(command) => push(key.to_owned(), command),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ids::TaskId;

    fn event(kind: &str, data: Value) -> Event {
        let task = TaskId::parse("task_01ABCDEFGHJKMNPQRSTVWXYZ12").unwrap();
        Event::new(kind, &task, "human:ana", "2026-03-01T10:00:00Z".to_owned(), data)
    }

    fn check(hooks: &Value, event: &Event, expected: &[&str]) {
        let config = Config::from_value(json!({"hooks": hooks}));
        let found: Vec<String> =
            hooks_for(&config, event).into_iter().map(|hook| hook.command).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_order_is_general_to_special_and_exact_to_wild() {
        let hooks = json!({
            "post_event": "p",
            "on": {"status_changed": "o", "comment_added": "c"},
            "transitions": {
                "* -> *": "ww", "* -> done": "wd", "review -> *": "rw", "review->done": ["r1", "r2"],
                "review -> done -> x": "no", "-> done": "no", "a -> done": "no", "review": "no",
            },
        });
        let moved = event("status_changed", json!({"from": "review", "to": "done"}));
        check(&hooks, &moved, &["p", "o", "r1", "r2", "wd", "rw", "ww"]);
        check(&hooks, &event("comment_added", json!({"body": "b"})), &["p", "c"]);
        check(&hooks, &event("status_changed", json!({"to": "done"})), &["p", "o"]);
    }

    #[test]
    fn odd_shapes_are_no_hooks() {
        let moved = event("status_changed", json!({"from": "a", "to": "b"}));
        check(&json!(null), &moved, &[]);
        check(&json!({"post_event": ["x"], "on": "y", "transitions": {"a -> b": 3}}), &moved, &[]);
        check(
            &json!({"post_event": "", "on": {"status_changed": 1}, "transitions": []}),
            &moved,
            &[],
        );
    }

    #[test]
    fn a_hook_is_told_what_happened() {
        let env = hook_env(
            Path::new("/p/.lattice"),
            &event("status_changed", json!({"from": "a", "to": "b"})),
        );
        let value =
            |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("LATTICE_ROOT"), Some("/p/.lattice"));
        assert_eq!(value("LATTICE_ACTOR"), Some("human:ana"));
        assert_eq!(value("LATTICE_TO_STATUS"), Some("b"));
        assert_eq!(hook_env(Path::new("/p"), &event("x_a", json!({}))).len(), 5);
    }
}
