//! The pure layer: values, rules and bytes. No I/O, no clock, no environment.

pub mod actor;
pub mod config;
pub mod definition;
pub mod event;
pub mod failure;
pub mod hooks;
pub mod ids;
pub mod json;
pub mod mask;
pub mod outcome;
pub mod policy;
pub mod reduce;
pub mod run;
pub mod terminal;
pub mod time;
