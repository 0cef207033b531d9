//! The pure layer: values, rules and bytes. No I/O, no clock, no environment.

pub mod actor;
pub mod command_line;
pub mod comments;
pub mod config;
pub mod definition;
pub mod duration;
pub mod engine;
pub mod event;
pub mod failure;
pub mod finding;
pub mod hooks;
pub mod ids;
pub mod json;
pub mod log_text;
pub mod mask;
pub mod next;
pub mod outcome;
pub mod policy;
pub mod reduce;
pub mod relationship;
pub mod run;
pub mod terminal;
pub mod time;
pub mod usage;
pub mod words;
