//! The configuration of a new project.

use serde_json::{Map, Value, json};

use super::Config;
use crate::model::ids::InstanceId;

/// What `init` is told. Codes are expected in upper case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fresh {
    pub default_actor: Option<String>,
    pub project_code: Option<String>,
    pub subproject_code: Option<String>,
    pub project_name: Option<String>,
    pub instance_name: Option<String>,
    pub model: Option<String>,
    /// Agents may go on with the next task by themselves.
    pub heartbeat: bool,
}

impl Config {
    /// A new project's configuration, with a new instance ID.
    pub fn fresh(fresh: &Fresh) -> Self {
        let mut map = Map::new();
        let mut set = |key: &str, value: Value| map.insert(key.to_owned(), value);
        set("schema_version", json!(1));
        set("instance_id", InstanceId::generate().as_str().into());
        set("default_status", "backlog".into());
        set("default_priority", "medium".into());
        set("task_types", json!(["task", "bug", "spike", "chore"]));
        set("workflow_preset", "classic".into());
        set("workflow", workflow());
        if fresh.heartbeat {
            set("heartbeat", json!({"enabled": true, "max_advances": 10}));
        }
        let given = [
            ("default_actor", &fresh.default_actor),
            ("project_code", &fresh.project_code),
            ("subproject_code", &fresh.subproject_code),
            ("project_name", &fresh.project_name),
            ("instance_name", &fresh.instance_name),
            ("model", &fresh.model),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                set(key, value.as_str().into());
            }
        }
        Self::from_value(map.into())
    }
}

fn workflow() -> Value {
    json!({
        "statuses": [
            "backlog", "in_planning", "planned", "in_progress", "review", "done", "blocked", "needs_human", "cancelled"
        ],
        "transitions": {
            "backlog": ["in_planning", "planned", "cancelled"],
            "in_planning": ["planned", "needs_human", "cancelled"],
            "planned": ["in_progress", "review", "blocked", "needs_human", "cancelled"],
            "in_progress": ["review", "blocked", "needs_human", "cancelled"],
            "review": ["done", "in_progress", "in_planning", "needs_human", "cancelled"],
            "done": [],
            "blocked": ["in_planning", "planned", "in_progress", "cancelled"],
            "needs_human": ["in_planning", "planned", "in_progress", "review", "cancelled"],
            "cancelled": [],
        },
        "universal_targets": ["needs_human", "cancelled"],
        "roles": ["review"],
        "wip_limits": {"in_progress": 10, "review": 5},
        "descriptions": {
            "backlog": "Written down; nobody has begun to think about it.",
            "in_planning": "Being thought through. Code comes later.",
            "planned": "The plan stands; the work can begin.",
            "in_progress": "Somebody is building it.",
            "review": "Built, and waiting for a second pair of eyes.",
            "done": "Reviewed and finished.",
            "blocked": "Something outside the task has to move first.",
            "needs_human": "A person has to decide or to help.",
            "cancelled": "Given up for good.",
        },
    })
}
