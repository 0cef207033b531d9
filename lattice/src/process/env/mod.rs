//! The environment of an engine: the caller's, minus what ties it to the session that it was called from, plus what
//! its definition and its run add. Pure: reads no environment itself, and knows nothing of runs.

mod git_config;
mod rules;
mod table;
#[cfg(test)]
mod tests;

pub use git_config::with_attached_gc;
pub use rules::{Action, Rules, Variable, dropped_names, engine_env, explain, veiled};
pub use table::{CLEANERS, GIT_LOCAL};
