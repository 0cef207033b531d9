//! How many runs may be at work at once, and what becomes of one more.

use serde_json::Value;

use crate::model::definition::EngineKind;

/// `workers.max_parallel`: a number for all, or an object with `total` and the names of engines. What is absent has
/// no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MaxParallel {
    pub total: Option<u64>,
    pub engines: Vec<(EngineKind, u64)>,
}

/// `workers.when_full`, and the option of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    #[default]
    Refuse,
    Wait,
}

impl WhenFull {
    pub const ALL: [Self; 2] = [Self::Refuse, Self::Wait];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Wait => "wait",
        }
    }

    /// Of the one more, for a sentence.
    pub const fn fate(self) -> &'static str {
        match self {
            Self::Refuse => "is refused",
            Self::Wait => "waits",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

impl MaxParallel {
    pub fn of(&self, engine: EngineKind) -> Option<u64> {
        self.engines.iter().find(|(name, _)| *name == engine).map(|(_, limit)| *limit)
    }

    pub(super) fn read(value: &Value) -> Self {
        let entry =
            |(name, limit): (&String, &Value)| Some((EngineKind::parse(name)?, positive(limit)?));
        match value {
            Value::Object(map) => Self {
                total: map.get("total").and_then(positive),
                engines: map.iter().filter_map(entry).collect(),
            },
            number => Self { total: positive(number), engines: Vec::new() },
        }
    }

    /// One sentence for each part that [`Self::read`] leaves out.
    pub(super) fn warnings(value: &Value) -> Vec<String> {
        let Value::Object(map) = value else {
            let wanted = "a whole number above zero, or an object of such numbers";
            return positive(value).is_none().then(|| odd("", wanted)).into_iter().collect();
        };
        let warning = |(name, limit): (&String, &Value)| {
            if name != "total" && EngineKind::parse(name).is_none() {
                let engines = EngineKind::ALL.map(EngineKind::name).join(", ");
                let key = format!("config.json: 'workers.max_parallel.{name}'");
                return Some(format!("{key} is not 'total' and no engine: {engines}"));
            }
            let fits = positive(limit).is_some();
            (!fits).then(|| odd(&format!(".{name}"), "a whole number above zero"))
        };
        map.iter().filter_map(warning).collect()
    }
}

fn odd(part: &str, wanted: &str) -> String {
    format!("config.json: 'workers.max_parallel{part}' must be {wanted}; it is ignored")
}

fn positive(value: &Value) -> Option<u64> {
    value.as_u64().filter(|&limit| limit > 0)
}
