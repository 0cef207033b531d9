//! What would stop a run, found without starting one: of the machine and the project, and of each worker. Makes and
//! changes nothing, runs no model; what `preflight` refuses is asked of `preflight`.

mod agent;
mod line;
mod machine;
mod parallel;
mod worker;

pub use line::{Line, State};
pub use machine::machine;
pub use worker::{Checked, workers};
