//! Processes: starting, watching and ending them. Knows nothing of `.lattice`.

pub mod env;
pub mod helper;
pub mod spawn;
