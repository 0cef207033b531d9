//! One run on disk and in the process table: its directory, its start, its end, and who finishes it for the dead.

pub mod context;
pub mod create;
pub mod directory;
pub mod doctor;
pub mod end;
pub mod examine;
pub mod halt;
pub mod handover;
mod history;
mod lost;
mod place;
pub mod plan;
pub mod preflight;
pub mod query;
pub mod reap;
pub mod record;
pub mod reported;
mod sandbox;
pub mod spare;
mod specify;
pub mod start;
pub mod stop;
pub mod store;
pub mod surroundings;
mod untrusted;
pub mod wait;
