//! One event as a person reads it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use lattice::model::actor;
use lattice::model::event::{
    ARTIFACT_ATTACHED, ASSIGNMENT_CHANGED, BRANCH_LINKED, BRANCH_UNLINKED, COMMENT_ADDED,
    COMMENT_DELETED, COMMENT_EDITED, Event, FIELD_UPDATED, PROCESS_COMPLETED, PROCESS_FAILED,
    PROCESS_STARTED, RELATIONSHIP_ADDED, RELATIONSHIP_REMOVED, STATUS_CHANGED,
    TASK_SHORT_ID_ASSIGNED,
};

use super::clock::Clock;

/// A comment's beginning, in characters.
const BODY: usize = 60;

/// `  <ts>  <type>  <summary>  by <actor>` and, where there is one, a line that says why.
pub(crate) fn lines(event: &Event, full: bool, clock: &Clock) -> String {
    let summary = if full { json_line(&event.get("data").clone()) } else { summary(event) };
    let by = actor_text(event.actor());
    let mut text = format!(
        "  {}  {}  {summary}  by {by}",
        shown(&clock.local(event.ts())),
        shown(event.kind())
    );
    if let Some(why) = provenance(event.get("provenance")) {
        text.push_str("\n    ");
        text.push_str(&why);
    }
    text
}

/// An actor's display form.
pub(crate) fn actor_text(actor: &Value) -> Cow<'_, str> {
    match actor::display(actor) {
        "" => "?".into(),
        text => one_line(text),
    }
}

/// The same for a task's assignee, who may be nobody.
pub(crate) fn assignee(actor: &Value) -> Cow<'_, str> {
    if actor.is_null() { "unassigned".into() } else { actor_text(actor) }
}

/// Text from a log with nothing in it that a terminal would obey, on one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

fn summary(event: &Event) -> String {
    let data = Data(event.data());
    match event.kind() {
        STATUS_CHANGED => format!("{} -> {}", data.text("from"), data.text("to")),
        ASSIGNMENT_CHANGED => format!("{} -> {}", data.assignee("from"), data.assignee("to")),
        FIELD_UPDATED => {
            format!("{}: {} -> {}", data.text("field"), data.text("from"), data.text("to"))
        }
        COMMENT_ADDED => format!(
            "\"{}\"{}",
            beginning(&data.text("body")),
            data.optional(" [role: ", "role", "]")
        ),
        COMMENT_EDITED => format!("edited comment {}", data.text("comment_id")),
        COMMENT_DELETED => format!("deleted comment {}", data.text("comment_id")),
        "reaction_added" => format!(":{}: on {}", data.text("emoji"), data.text("comment_id")),
        "reaction_removed" => {
            format!("removed :{}: from {}", data.text("emoji"), data.text("comment_id"))
        }
        TASK_SHORT_ID_ASSIGNED => format!("assigned {}", data.text("short_id")),
        RELATIONSHIP_ADDED => format!("{} -> {}", data.text("type"), data.text("target_task_id")),
        RELATIONSHIP_REMOVED => {
            format!("{} -x- {}", data.text("type"), data.text("target_task_id"))
        }
        ARTIFACT_ATTACHED => format!("artifact {}", data.text("artifact_id")),
        BRANCH_LINKED => {
            format!("branch '{}'{}", data.text("branch"), data.optional(" (repo: ", "repo", ")"))
        }
        BRANCH_UNLINKED => format!(
            "branch '{}' removed{}",
            data.text("branch"),
            data.optional(" (repo: ", "repo", ")")
        ),
        PROCESS_STARTED => started(&data, event.id()),
        PROCESS_COMPLETED => ended(&data, "result"),
        PROCESS_FAILED => ended(&data, "error"),
        kind if kind.starts_with("x_") && !event.data().is_empty() => json_line(event.get("data")),
        _ => String::new(),
    }
}

fn started(data: &Data<'_>, id: &str) -> String {
    let commit: String = data.text("commit_sha").chars().take(8).collect();
    format!(
        "{} {id} at {commit}{}",
        data.text("process_type"),
        data.optional(", limit ", "timeout_minutes", " min")
    )
}

fn ended(data: &Data<'_>, words: &str) -> String {
    // "exited" and its code are in the words already.
    let exited = data.0.get("reason").is_some_and(|reason| reason == "exited");
    let mut facts = Vec::new();
    if !exited {
        facts.extend([data.optional("", "reason", ""), data.optional("exit ", "exit_code", "")]);
    }
    facts.push(data.optional("after ", "duration_seconds", " s"));
    facts.push(data.optional("work saved in ", "preserved_ref", ""));
    facts.push(data.optional("worktree kept: ", "kept_worktree", ""));
    facts.retain(|fact| !fact.is_empty());
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let (worker, run) = (data.text("process_type"), data.text("started_event_id"));
    format!("{worker} {run}{}{facts}", data.optional(": ", words, ""))
}

/// An event's data, whatever shape its values have.
struct Data<'a>(&'a Map<String, Value>);

impl Data<'_> {
    /// A value as text: `none` for null, `?` if it is not there.
    fn text(&self, key: &str) -> String {
        match self.0.get(key) {
            None => "?".to_owned(),
            Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) => one_line(text).into_owned(),
            Some(other) => json_line(other),
        }
    }

    fn optional(&self, before: &str, key: &str, after: &str) -> String {
        match self.0.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(_) => format!("{before}{}{after}", self.text(key)),
        }
    }

    fn assignee(&self, key: &str) -> String {
        match self.0.get(key) {
            None | Some(Value::Null) => "unassigned".to_owned(),
            Some(actor) => actor_text(actor).into_owned(),
        }
    }
}

fn provenance(value: &Value) -> Option<String> {
    let words =
        [("triggered_by", "triggered by"), ("on_behalf_of", "on behalf of"), ("reason", "reason")];
    let parts: Vec<String> = words
        .iter()
        .filter_map(|(key, words)| {
            Some(format!("{words}: {}", one_line(value.get(key)?.as_str()?)))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" | "))
}

fn shown(text: &str) -> Cow<'_, str> {
    if text.is_empty() { "?".into() } else { one_line(text) }
}

fn beginning(text: &str) -> String {
    if text.chars().count() <= BODY {
        return text.to_owned();
    }
    let cut: String = text.chars().take(BODY - 3).collect();
    format!("{cut}...")
}

/// JSON in its ordinary one-line form; it escapes what a terminal would obey.
fn json_line(value: &Value) -> String {
    lattice::model::json::spaced(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, data: &Value, expected: &str) {
        let event = json!({"type": kind, "data": data, "id": "ev_1", "ts": "T", "actor": "a:b"});
        let event = Event::from_value(event).unwrap();
        let clock = Clock {
            now: jiff::Timestamp::UNIX_EPOCH,
            zone: jiff::tz::TimeZone::UTC,
            for_person: false,
        };
        assert_eq!(lines(&event, false, &clock), format!("  T  {kind}  {expected}  by a:b"));
    }

    #[test]
    fn process_events_say_what_happened() {
        let started =
            json!({"process_type": "Review", "commit_sha": "0123456789", "timeout_minutes": 5});
        check("process_started", &started, "Review ev_1 at 01234567, limit 5 min");
        let failed = json!({
            "process_type": "Review", "started_event_id": "ev_1", "error": "ran too\nlong", "reason": "timed_out",
            "exit_code": null, "duration_seconds": 300.5, "preserved_ref": "refs/x",
        });
        let facts = "Review ev_1: ran too long (timed_out, after 300.5 s, work saved in refs/x)";
        check("process_failed", &failed, facts);
        let python =
            json!({"process_type": "Lint", "started_event_id": "ev_1", "commit_sha": null});
        check("process_completed", &python, "Lint ev_1");
    }

    #[test]
    fn odd_values_are_shown_and_never_obeyed() {
        check("comment_added", &json!({"body": "a\u{1b}[31mb\u{9b}c"}), "\"a [31mb c\"");
        check("comment_added", &json!({}), "\"?\"");
        check(
            "assignment_changed",
            &json!({"from": null, "to": {"name": "Ana-1"}}),
            "unassigned -> Ana-1",
        );
        check(
            "field_updated",
            &json!({"field": "tags", "from": null, "to": ["x"]}),
            "tags: none -> [\"x\"]",
        );
        check("x_mine", &json!({"b": 1, "a": "\u{7}"}), "{\"a\": \"\\u0007\", \"b\": 1}");
        check("x_mine", &json!({}), "");
        check("status_changed", &json!(7), "? -> ?");
    }

    #[test]
    fn long_comments_are_cut_at_a_character() {
        let body = "\u{e9}".repeat(61);
        check("comment_added", &json!({"body": body}), &format!("\"{}...\"", "\u{e9}".repeat(57)));
    }
}
