//! Steps back: a task that was further on already.

use serde_json::{Value, json};

use super::transitions::is_backward;
use crate::model::actor;
use crate::model::config::Config;
use crate::model::event::{Event, STATUS_CHANGED};

/// A change of status against the project's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopened {
    pub ts: String,
    /// As people see them.
    pub actor: String,
    pub from: String,
    pub to: String,
}

/// The last step back in a history.
pub fn last_reopening(config: &Config, events: &[Event]) -> Option<Reopened> {
    events.iter().rev().find_map(|event| {
        let text = |key: &str| event.data().get(key).and_then(Value::as_str);
        let (from, to) = (text("from")?, text("to")?);
        let is_step = event.kind() == STATUS_CHANGED && is_backward(config, from, to);
        is_step.then(|| Reopened {
            ts: event.ts().to_owned(),
            actor: actor::display(event.actor()).to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        })
    })
}

impl Reopened {
    pub fn words(&self) -> String {
        format!("Previously completed, reset on {} by {}", self.date(), self.actor)
    }

    pub fn to_value(&self) -> Value {
        json!({
            "ts": self.ts, "date": self.date(), "actor": self.actor,
            "from": self.from, "to": self.to,
        })
    }

    fn date(&self) -> &str {
        self.ts.split('T').next().unwrap_or_default()
    }
}
