//! The only writer of `.lattice`: layout, locks, logs, snapshots, artifacts, deletion.

pub mod append;
pub mod artifact;
pub mod definitions;
pub mod delete;
pub mod gitfiles;
pub mod layout;
pub mod lock;
pub mod log;
mod mounts;
pub mod plan;
pub mod replace;
pub mod scaffold;
pub mod task;
