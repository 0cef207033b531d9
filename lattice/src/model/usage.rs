//! What a run has used, as its engine tells it, and the sum over the runs of a task.

use serde_json::{Map, Value, json};

use super::event::Event;

/// `usage` of a terminal event. What the engine does not tell is absent, never 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// The engine's own session, by which its transcript is found and resumed.
    pub session_id: Option<String>,
    pub model: Option<String>,
    pub turns: Option<u64>,
    /// All that was read, what a cache had included.
    pub input_tokens: Option<u64>,
    pub cached_input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// US dollars.
    pub cost_usd: Option<f64>,
}

impl Usage {
    /// `None` where nothing is known.
    pub fn to_value(&self) -> Option<Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            map.extend(value.map(|value| (key.to_owned(), value)));
        };
        put("session_id", self.session_id.as_deref().map(Value::from));
        put("model", self.model.as_deref().map(Value::from));
        put("turns", self.turns.map(Value::from));
        put("input_tokens", self.input_tokens.map(Value::from));
        put("cached_input_tokens", self.cached_input_tokens.map(Value::from));
        put("output_tokens", self.output_tokens.map(Value::from));
        put("cost_usd", self.cost_usd.map(|cost| json!(round(cost))));
        (!map.is_empty()).then_some(Value::Object(map))
    }
}

/// The sum over runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Total {
    /// Those that told something.
    pub runs: u64,
    pub turns: u64,
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
    pub cost_usd: f64,
}

impl Total {
    /// Over the first terminal event of each run; a later one is a copy that a merge has brought.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut total = Self::default();
        let mut seen = std::collections::BTreeSet::new();
        for event in events {
            if let Some(run) = event.ended_run()
                && seen.insert(run)
                && let Some(usage) = event.data().get("usage").and_then(Value::as_object)
            {
                total.add(usage);
            }
        }
        total
    }

    fn add(&mut self, usage: &Map<String, Value>) {
        let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or_default();
        self.runs += 1;
        self.turns += count("turns");
        self.input_tokens += count("input_tokens");
        self.cached_input_tokens += count("cached_input_tokens");
        self.output_tokens += count("output_tokens");
        self.cost_usd += usage.get("cost_usd").and_then(Value::as_f64).unwrap_or_default();
    }

    /// `None` where no run told anything.
    pub fn to_value(&self) -> Option<Value> {
        (self.runs > 0).then(|| {
            json!({
                "runs": self.runs,
                "turns": self.turns,
                "input_tokens": self.input_tokens,
                "cached_input_tokens": self.cached_input_tokens,
                "output_tokens": self.output_tokens,
                "cost_usd": round(self.cost_usd),
            })
        })
    }
}

/// To a millionth: sums of binary fractions have long tails.
fn round(cost: f64) -> f64 {
    (cost * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_end_of_each_run_counts() {
        let line = |id: &str, run: &str, usage: &str| {
            let text = format!(
                r#"{{"id":"{id}","type":"process_failed","task_id":"task_01ARZ3NDEKTSV4RRFFQ69G5FAV","ts":"2026-01-01T00:00:00Z","actor":"a:b","data":{{"started_event_id":"{run}"{usage}}}}}"#
            );
            Event::parse(text.as_bytes()).unwrap()
        };
        let events = [
            line("e1", "r1", r#","usage":{"turns":2,"input_tokens":10,"cost_usd":0.1}"#),
            line("e2", "r1", r#","usage":{"turns":2,"input_tokens":10,"cost_usd":0.1}"#),
            line("e3", "r2", r#","usage":{"output_tokens":5,"cost_usd":0.2}"#),
            line("e4", "r3", ""),
        ];
        let total = Total::of(&events).to_value().unwrap();
        let expected = json!({"runs": 2, "turns": 2, "input_tokens": 10, "cached_input_tokens": 0,
                              "output_tokens": 5, "cost_usd": 0.3});
        assert_eq!(total, expected);
        assert_eq!(Total::of(&events[3..]).to_value(), None);
    }
}
