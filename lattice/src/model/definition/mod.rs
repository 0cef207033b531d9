//! A worker definition, `workers/NAME.json`: what is done, how, and for how long at most. Pure: whether the files
//! and programs that it names exist is asked elsewhere.

mod keys;
mod nearest;
mod parse;
mod reader;
pub mod schema;
#[cfg(test)]
mod schema_tests;
pub mod template;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use nearest::nearest;
pub use parse::parse;
pub use types::{
    CommandLine, Definition, EngineKind, EnvRules, Limits, OnChanges, Problem, ReportFrom, Sandbox,
};
