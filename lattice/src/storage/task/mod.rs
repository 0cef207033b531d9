//! Tasks on disk: every change starts from a replay of the log under its lock; the snapshot is written from that.

pub mod backfill;
mod create;
mod halving;
pub mod named;
mod pointing;
mod read;
mod relocate;
pub mod short_ids;
mod stream;
#[cfg(test)]
mod tests;
mod txn;

pub use create::{Created, NewTask, create_task};
pub use read::{
    TaskLog, list_kept, list_snapshots, open_runs_of, read_config, read_open_runs, read_pointing,
    read_snapshot, read_task, read_task_log, resolve_task, task_ids,
};
pub use relocate::Relocated;
pub(super) use stream::{IsNew, Place, each_in};
pub use txn::TaskTxn;
pub(super) use txn::{open_log, with_unknown_keys};
