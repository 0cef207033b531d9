//! Reading a configuration leniently: a missing or odd key means its default, and unknown keys are kept.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Map, Value};

use super::parallel::{MaxParallel, WhenFull};
use crate::model::json;
use crate::model::run::PoolRules;

/// The object in `config.json`, with everything that is in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config(Map<String, Value>);

/// The part that is about runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Workers {
    /// For definitions that name no grace of their own.
    pub grace_seconds: Option<f64>,
    /// Instead of `.lattice/worktrees`; relative to the project root.
    pub worktree_root: Option<PathBuf>,
    /// Age at which logs and records of runs may be pruned.
    pub keep_days: f64,
    pub max_parallel: MaxParallel,
    pub when_full: WhenFull,
    /// How many worktrees of ended runs are kept for the next ones, how long, and how big all of them may be.
    pub worktree_pool: u64,
    pub worktree_pool_days: f64,
    pub worktree_pool_mb: u64,
    /// How long a silent supervisor may be past its deadline before the warden takes over.
    pub end_limit_seconds: f64,
}

const KEEP_DAYS: f64 = 30.0;
const DAY_SECONDS: f64 = 86_400.0;
const POOL_DAYS: f64 = 7.0;
const POOL_MB: u64 = 4096;
const END_LIMIT_SECONDS: f64 = 300.0;

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

impl Workers {
    pub fn pool(&self) -> PoolRules {
        let age = Duration::try_from_secs_f64(self.worktree_pool_days * DAY_SECONDS);
        PoolRules {
            members: self.worktree_pool,
            max_age_ms: age
                .map_or(u64::MAX, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            max_bytes: self.worktree_pool_mb.saturating_mul(1 << 20),
        }
    }
}

impl Config {
    /// Anything but an object is an empty configuration.
    pub fn from_value(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            _ => Self::default(),
        }
    }

    pub fn raw(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The bytes of `config.json`.
    pub fn file_text(&self) -> String {
        json::pretty(&Value::Object(self.0.clone()))
    }

    pub fn project_code(&self) -> Option<&str> {
        self.text("project_code")
    }

    pub fn subproject_code(&self) -> Option<&str> {
        self.text("subproject_code")
    }

    /// `CODE` or `CODE-SUB`: what stands before the number of a short ID.
    pub fn short_id_prefix(&self) -> Option<String> {
        let code = self.project_code()?;
        Some(self.subproject_code().map_or_else(|| code.to_owned(), |sub| format!("{code}-{sub}")))
    }

    pub fn default_status(&self) -> &str {
        self.text("default_status").unwrap_or("backlog")
    }

    pub fn default_priority(&self) -> &str {
        self.text("default_priority").unwrap_or("medium")
    }

    pub fn task_types(&self) -> Vec<&str> {
        strings(self.0.get("task_types"))
    }

    /// In the order of the workflow.
    pub fn statuses(&self) -> Vec<&str> {
        strings(self.workflow().get("statuses"))
    }

    /// `workflow.roles` and the roles that any completion policy requires, sorted. None: any role is allowed.
    pub fn roles(&self) -> Vec<&str> {
        let policies = self.workflow().get("completion_policies").and_then(Value::as_object);
        let required =
            policies.into_iter().flat_map(Map::values).map(|policy| policy.get("require_roles"));
        let lists = required.chain([self.workflow().get("roles")]);
        lists.flat_map(strings).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A status as people see it.
    pub fn display_status(&self, status: &str) -> String {
        let names = self.workflow().get("display_names");
        let name = names.and_then(|names| names.get(status)).and_then(Value::as_str);
        name.map_or_else(|| status.replace('_', " "), str::to_owned)
    }

    /// The status that somebody means by its name, or by what it is displayed as, in any case.
    pub fn find_status(&self, text: &str) -> Option<&str> {
        let statuses = self.statuses();
        let shown_so = |status: &&&str| self.display_status(status).eq_ignore_ascii_case(text);
        let named = statuses.iter().find(|status| **status == text);
        named.or_else(|| statuses.iter().find(shown_so)).copied()
    }

    pub fn workflow(&self) -> &Map<String, Value> {
        self.section("workflow")
    }

    pub fn hooks(&self) -> &Map<String, Value> {
        self.section("hooks")
    }

    /// The `workers` section; odd values are as good as absent, and [`Self::worker_warnings`] names them.
    pub fn workers(&self) -> Workers {
        let section = self.section("workers");
        let number = |key: &str| section.get(key).and_then(non_negative);
        let count = |key: &str| section.get(key).and_then(Value::as_u64);
        Workers {
            grace_seconds: number("grace_seconds"),
            worktree_root: section.get("worktree_root").and_then(path).map(PathBuf::from),
            keep_days: number("keep_days").unwrap_or(KEEP_DAYS),
            max_parallel: section.get("max_parallel").map(MaxParallel::read).unwrap_or_default(),
            when_full: section.get("when_full").and_then(when_full).unwrap_or_default(),
            worktree_pool: count("worktree_pool").unwrap_or(0),
            worktree_pool_days: number("worktree_pool_days").unwrap_or(POOL_DAYS),
            worktree_pool_mb: count("worktree_pool_mb").unwrap_or(POOL_MB),
            end_limit_seconds: number("end_limit_seconds").unwrap_or(END_LIMIT_SECONDS),
        }
    }

    /// One sentence for each key of `workers` that is unknown or has a value of the wrong kind.
    pub fn worker_warnings(&self) -> Vec<String> {
        let warnings = self.section("workers").iter().flat_map(|(key, value)| {
            let (fits, wanted) = match key.as_str() {
                "grace_seconds" | "keep_days" | "end_limit_seconds" | "worktree_pool_days" => {
                    (non_negative(value).is_some(), "a number, zero or more")
                }
                "worktree_root" => (path(value).is_some(), "a path"),
                "max_parallel" => return MaxParallel::warnings(value),
                "when_full" => (when_full(value).is_some(), "\"refuse\" or \"wait\""),
                "worktree_pool" | "worktree_pool_mb" => {
                    (value.as_u64().is_some(), "a whole number, zero or more")
                }
                _ => return vec![format!("config.json: 'workers.{key}' is not a known setting")],
            };
            let warning = format!("config.json: 'workers.{key}' must be {wanted}; it is ignored");
            if fits { Vec::new() } else { vec![warning] }
        });
        warnings.collect()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn section(&self, key: &str) -> &Map<String, Value> {
        self.0.get(key).and_then(Value::as_object).unwrap_or(&NOTHING)
    }
}

fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn non_negative(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
}

fn when_full(value: &Value) -> Option<WhenFull> {
    value.as_str().and_then(WhenFull::parse)
}

fn path(value: &Value) -> Option<&str> {
    value.as_str().filter(|path| !path.is_empty())
}
