//! The pure layer: values, rules and bytes. No I/O, no clock, no environment.

pub mod actor;
pub mod config;
pub mod definition;
pub mod event;
pub mod failure;
pub mod ids;
pub mod json;
pub mod outcome;
pub mod reduce;
pub mod run;
pub mod time;
