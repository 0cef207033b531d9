//! `config.json`, read leniently: a missing or odd key means its default, and unknown keys are kept.

use std::path::PathBuf;

use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config(Map<String, Value>);

/// The part of the configuration that is about runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Workers {
    pub grace_seconds: Option<f64>,
    pub worktree_root: Option<PathBuf>,
    pub keep_days: f64,
    pub max_parallel: Option<u64>,
    pub worktree_pool: u64,
}

/// What `init` is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fresh {
    pub default_actor: Option<String>,
    pub project_code: Option<String>,
    pub subproject_code: Option<String>,
    pub project_name: Option<String>,
    pub instance_name: Option<String>,
    pub model: Option<String>,
}

impl Config {
    pub fn from_value(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            _ => Self::default(),
        }
    }

    /// A new project's configuration.
    pub fn fresh(fresh: &Fresh) -> Self {
        todo!()
    }

    pub fn raw(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn project_code(&self) -> Option<&str> {
        todo!()
    }

    pub fn subproject_code(&self) -> Option<&str> {
        todo!()
    }

    /// `CODE` or `CODE-SUB`: what stands before the number of a short ID.
    pub fn short_id_prefix(&self) -> Option<String> {
        todo!()
    }

    pub fn default_status(&self) -> &str {
        todo!()
    }

    pub fn default_priority(&self) -> &str {
        todo!()
    }

    pub fn task_types(&self) -> Vec<&str> {
        todo!()
    }

    pub fn statuses(&self) -> Vec<&str> {
        todo!()
    }

    /// `workflow.roles` and the roles that any completion policy requires, sorted. None: any role is allowed.
    pub fn roles(&self) -> Vec<&str> {
        todo!()
    }

    /// A status as people see it.
    pub fn display_status(&self, status: &str) -> String {
        todo!()
    }

    /// The hooks section; [`super::hooks`] reads it.
    pub fn hooks(&self) -> &Map<String, Value> {
        todo!()
    }

    pub fn workers(&self) -> Workers {
        todo!()
    }

    /// One sentence for each `workers.*` key that is unknown or of the wrong type.
    pub fn worker_warnings(&self) -> Vec<String> {
        todo!()
    }

    /// The bytes of `config.json`.
    pub fn file_text(&self) -> String {
        todo!()
    }
}
