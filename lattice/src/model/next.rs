//! What to work on next: which tasks are on offer, and in which order.

use serde_json::Value;

use super::actor;
use super::ids::TaskId;
use super::reduce::Snapshot;

const PRIORITIES: [&str; 4] = ["critical", "high", "medium", "low"];
const URGENCIES: [&str; 4] = ["immediate", "high", "normal", "low"];
const RESUMED: [&str; 2] = ["in_progress", "in_planning"];
const READY: [&str; 2] = ["backlog", "planned"];
/// Waiting or over: never on offer, whatever was asked for.
const NEVER: [&str; 4] = ["needs_human", "blocked", "done", "cancelled"];

/// Who asks, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The display form of an actor. Without one, only what is nobody's is on offer.
    pub who: Option<String>,
    /// Instead of `backlog` and `planned`.
    pub statuses: Option<Vec<String>>,
}

/// A task on offer. The better one is the lesser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    kind: Kind,
    rank: (usize, usize),
    id: String,
}

impl Offer {
    pub fn task_id(&self) -> Option<TaskId> {
        TaskId::parse(&self.id)
    }
}

/// Own work that was begun comes before new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Resume,
    Begin,
}

impl Wanted {
    /// The offer of a task, if it is on offer at all.
    pub fn offer(&self, task: &Snapshot) -> Option<Offer> {
        Some(Offer { kind: self.kind(task)?, rank: rank(task), id: task.id().to_owned() })
    }

    fn kind(&self, task: &Snapshot) -> Option<Kind> {
        let (status, assigned) = (task.status(), task.get("assigned_to").unwrap_or(&Value::Null));
        let is_ours = self.who.as_deref() == Some(actor::display(assigned));
        if RESUMED.contains(&status) && is_ours && !assigned.is_null() {
            return Some(Kind::Resume);
        }
        let is_ready = match &self.statuses {
            Some(statuses) => statuses.iter().any(|ready| ready == status),
            None => READY.contains(&status),
        };
        (is_ready && !NEVER.contains(&status) && (assigned.is_null() || is_ours))
            .then_some(Kind::Begin)
    }
}

/// Priority, then urgency. One that is missing is an ordinary one; one that is null or unknown comes last, which is
/// what most tasks have for their urgency.
fn rank(task: &Snapshot) -> (usize, usize) {
    let place = |key: &str, order: &[&str], default: &str| {
        let value = task.get(key).map_or(Some(default), Value::as_str);
        order.iter().position(|known| Some(*known) == value).unwrap_or(order.len())
    };
    (place("priority", &PRIORITIES, "medium"), place("urgency", &URGENCIES, "normal"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(id: &str, fields: Value) -> Snapshot {
        let Value::Object(mut map) = fields else { panic!("an object") };
        map.insert("id".to_owned(), id.into());
        map.entry("status").or_insert("backlog".into());
        Snapshot(map)
    }

    #[track_caller]
    fn check(who: Option<&str>, statuses: Option<&[&str]>, tasks: &[Snapshot], expected: &[&str]) {
        let owned = |text: &str| text.to_owned();
        let statuses = statuses.map(|all| all.iter().copied().map(owned).collect());
        let wanted = Wanted { who: who.map(owned), statuses };
        let mut offers: Vec<Offer> = tasks.iter().filter_map(|task| wanted.offer(task)).collect();
        offers.sort();
        assert_eq!(offers.iter().map(|offer| offer.id.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn priority_then_urgency_then_age() {
        let tasks = [
            task("1", json!({"priority": "low", "urgency": "immediate"})),
            task("2", json!({"priority": "high", "urgency": null})),
            task("3", json!({"priority": "high", "urgency": "low"})),
            task("5", json!({"priority": "high"})),
            task("4", json!({"priority": "high", "urgency": "normal"})),
            task("6", json!({})),
            task("7", json!({"priority": null})),
            task("8", json!({"priority": "critical", "status": "planned"})),
        ];
        check(None, None, &tasks, &["8", "4", "5", "3", "2", "6", "1", "7"]);
    }

    #[test]
    fn what_is_somebody_elses_or_waits_is_not_on_offer() {
        let ana = json!({"name": "Ana-1", "model": "m"});
        let tasks = [
            task("1", json!({"assigned_to": "agent:bot"})),
            task("2", json!({"assigned_to": ana, "status": "planned"})),
            task("3", json!({"status": "blocked"})),
            task("4", json!({"status": "review"})),
            task("5", json!({"status": "in_progress"})),
        ];
        check(None, None, &tasks, &[]);
        check(Some("Ana-1"), None, &tasks, &["2"]);
        check(Some("agent:bot"), None, &tasks, &["1"]);
        check(None, Some(&["review", "blocked", "in_progress"]), &tasks, &["4", "5"]);
    }

    #[test]
    fn own_work_is_resumed_first() {
        let tasks = [
            task("1", json!({"priority": "critical"})),
            task("2", json!({"priority": "low", "status": "in_planning", "assigned_to": "a:b"})),
            task("3", json!({"priority": "high", "status": "in_progress", "assigned_to": "a:b"})),
            task("4", json!({"status": "review", "assigned_to": "a:b"})),
        ];
        check(Some("a:b"), None, &tasks, &["3", "2", "1"]);
        check(Some("a:c"), None, &tasks, &["1"]);
    }
}
