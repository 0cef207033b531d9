//! Tasks on disk: every change starts from a replay of the log under its lock; the snapshot is written from that.

mod create;
mod read;
mod relocate;
pub mod short_ids;
#[cfg(test)]
mod tests;
mod txn;

pub use create::{NewTask, create_task};
pub use read::{
    list_snapshots, open_runs_of, read_config, read_open_runs, read_task, resolve_task,
};
pub use relocate::Relocated;
pub use txn::TaskTxn;
