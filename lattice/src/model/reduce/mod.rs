//! What a task is, computed from its events alone. Total: whatever a log holds, there is an answer.

mod apply;
mod open_runs;
mod snapshot;
#[cfg(test)]
mod tests;

pub use apply::replay;
pub use open_runs::{OpenRun, open_runs, terminal_of};
pub use snapshot::Snapshot;
