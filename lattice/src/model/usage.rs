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

/// What one agent of several has used, as the worker that asked it tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Share {
    /// As the worker calls it.
    pub agent: Option<String>,
    pub usage: Usage,
}

/// More of them are in the sum, and not in the list.
const LISTED: usize = 50;
const LONGEST_NAME: usize = 64;

impl Share {
    /// An object on each line, with the keys of `usage` and `agent`. What is no such thing is passed over.
    pub fn read(text: &[u8]) -> Vec<Self> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.filter_map(|line| Self::of(super::json::parse_lossy(line)?.as_object()?)).collect()
    }

    fn of(told: &Map<String, Value>) -> Option<Self> {
        let name = |key: &str| {
            let text = told.get(key)?.as_str().filter(|text| !text.is_empty())?;
            Some(text.chars().take(LONGEST_NAME).collect())
        };
        let count = |key: &str| told.get(key)?.as_u64();
        let cost = told.get("cost_usd").and_then(Value::as_f64);
        let usage = Usage {
            session_id: name("session_id"),
            model: name("model"),
            turns: count("turns"),
            input_tokens: count("input_tokens"),
            cached_input_tokens: count("cached_input_tokens"),
            output_tokens: count("output_tokens"),
            cost_usd: cost.filter(|cost| cost.is_finite() && *cost >= 0.0),
        };
        (usage != Usage::default()).then(|| Self { agent: name("agent"), usage })
    }

    /// The line that [`Self::read`] reads.
    pub fn to_value(&self) -> Option<Value> {
        let mut value = self.usage.to_value()?;
        if let Some(agent) = &self.agent {
            value["agent"] = json!(agent);
        }
        Some(value)
    }

    pub fn names(&mut self) -> impl Iterator<Item = &mut Option<String>> {
        [&mut self.agent, &mut self.usage.session_id, &mut self.usage.model].into_iter()
    }
}

impl Usage {
    /// The whole of it in numbers, with a list of the shares.
    pub fn with(&self, shares: &[Share]) -> Option<Value> {
        let mut sum = self.clone();
        for share in shares {
            sum.add(&share.usage);
        }
        let mut value = sum.to_value()?;
        if !shares.is_empty() {
            let listed = shares.iter().take(LISTED).filter_map(Share::to_value);
            value["agents"] = listed.collect();
        }
        if shares.len() > LISTED {
            value["agents_unlisted"] = json!(shares.len() - LISTED);
        }
        Some(value)
    }

    fn add(&mut self, other: &Self) {
        let add = |total: &mut Option<u64>, value: Option<u64>| {
            if let Some(value) = value {
                *total = Some(total.unwrap_or_default().saturating_add(value));
            }
        };
        add(&mut self.turns, other.turns);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.cached_input_tokens, other.cached_input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        if let Some(cost) = other.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or_default() + cost);
        }
    }

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

    #[test]
    fn shares_are_summed_and_listed_whatever_stands_between_them() {
        let text = concat!(
            r#"{"agent":"claude:standard","session_id":"s","turns":2,"output_tokens":7,"cost_usd":0.1}"#,
            "\nnoise\n[]\n{}\n{\"agent\":\"nobody\",\"turns\":-1,\"cost_usd\":-5}\n\n",
            r#"{"agent":"codex:critical","turns":1,"input_tokens":18446744073709551615,"output_tokens":1}"#,
            "\n{\"input_tokens\":3,\"cost_usd\":0.2,\"model\":7",
        );
        let shares = Share::read(text.as_bytes());
        let own =
            Usage { session_id: Some("own".into()), input_tokens: Some(5), ..Usage::default() };
        let expected = json!({
            "session_id": "own", "turns": 3, "input_tokens": u64::MAX, "output_tokens": 8, "cost_usd": 0.1,
            "agents": [
                {"agent": "claude:standard", "session_id": "s", "turns": 2, "output_tokens": 7, "cost_usd": 0.1},
                {"agent": "codex:critical", "turns": 1, "input_tokens": u64::MAX, "output_tokens": 1},
            ],
        });
        assert_eq!(own.with(&shares), Some(expected));
        assert_eq!(Usage::default().with(&[]), None);
        let many = vec![shares[1].clone(); 70];
        let value = Usage::default().with(&many).unwrap();
        assert_eq!((&value["turns"], &value["agents_unlisted"]), (&json!(70), &json!(20)));
        assert!(value.to_string().len() < 20_000);
    }
}
