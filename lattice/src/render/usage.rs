//! Turns, tokens and dollars as text.

use lattice::model::usage::Total;
use serde_json::Value;

use super::event::one_line;

/// `2 runs, 12 turns, 34.1k tokens in (30k cached), 2k out, $0.1234`
pub(crate) fn total(total: &Total) -> String {
    let runs = if total.runs == 1 { "1 run".to_owned() } else { format!("{} runs", total.runs) };
    let counts = Counts {
        turns: Some(total.turns).filter(|turns| *turns > 0),
        input: Some(total.input_tokens).filter(|tokens| *tokens > 0),
        cached: Some(total.cached_input_tokens).filter(|tokens| *tokens > 0),
        output: Some(total.output_tokens).filter(|tokens| *tokens > 0),
        cost: Some(total.cost_usd).filter(|cost| *cost > 0.0),
    };
    join(std::iter::once(runs).chain(counts.words()))
}

/// Of one run, as its terminal event has it.
pub(crate) fn of_run(usage: &Value) -> String {
    let count = |key: &str| usage[key].as_u64();
    let counts = Counts {
        turns: count("turns"),
        input: count("input_tokens"),
        cached: count("cached_input_tokens").filter(|tokens| *tokens > 0),
        output: count("output_tokens"),
        cost: usage["cost_usd"].as_f64(),
    };
    let name = |key: &str, what: &str| {
        usage[key].as_str().map(|name| format!("{what} {}", one_line(name)))
    };
    let names = [name("model", "model"), name("session_id", "session"), agents(usage)];
    join(counts.words().chain(names.into_iter().flatten()))
}

/// `of 6 agents, of which 2 told what they cost`
fn agents(usage: &Value) -> Option<String> {
    let listed = usage["agents"].as_array()?;
    let all = listed.len() as u64 + usage["agents_unlisted"].as_u64().unwrap_or_default();
    let with_cost = listed.iter().filter(|agent| !agent["cost_usd"].is_null()).count();
    let agents = if all == 1 { "agent" } else { "agents" };
    let silent = with_cost > 0 && with_cost < listed.len();
    let cost =
        if silent { format!(", of which {with_cost} told what they cost") } else { String::new() };
    Some(format!("of {all} {agents}{cost}"))
}

struct Counts {
    turns: Option<u64>,
    input: Option<u64>,
    cached: Option<u64>,
    output: Option<u64>,
    cost: Option<f64>,
}

impl Counts {
    fn words(&self) -> impl Iterator<Item = String> {
        let cached = self
            .cached
            .map(|tokens| format!(" ({} cached)", thousands(tokens)))
            .unwrap_or_default();
        let turns = self
            .turns
            .map(|turns| format!("{turns} {}", if turns == 1 { "turn" } else { "turns" }));
        let input = self.input.map(|tokens| format!("{} tokens in{cached}", thousands(tokens)));
        let output = self.output.map(|tokens| format!("{} out", thousands(tokens)));
        let cost = self.cost.map(|cost| format!("${cost:.4}"));
        [turns, input, output, cost].into_iter().flatten()
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// `999`, `1.2k`, `34k`
fn thousands(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..10_000 => format!("{}.{}k", count / 1000, count % 1000 / 100),
        _ => format!("{}k", count / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_said() {
        let sum = Total {
            runs: 2,
            turns: 1,
            input_tokens: 34_120,
            cached_input_tokens: 1234,
            output_tokens: 999,
            cost_usd: 0.12345,
        };
        assert_eq!(total(&sum), "2 runs, 1 turn, 34k tokens in (1.2k cached), 999 out, $0.1235");
        assert_eq!(total(&Total { runs: 1, ..Total::default() }), "1 run");
        let usage = serde_json::json!({"session_id": "s", "output_tokens": 5});
        assert_eq!(of_run(&usage), "5 out, session s");
        let agent = serde_json::json!({"output_tokens": 5});
        let mut usage = serde_json::json!({"output_tokens": 10, "agents": [agent, agent]});
        assert_eq!(of_run(&usage), "10 out, of 2 agents");
        usage["agents"][1]["cost_usd"] = 0.5.into();
        usage["agents_unlisted"] = 3.into();
        assert_eq!(of_run(&usage), "10 out, of 5 agents, of which 1 told what they cost");
    }
}
