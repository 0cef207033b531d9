//! The only writer of `.lattice`: layout, locks, logs, snapshots, artifacts, deletion.

mod agreement;
pub mod append;
pub mod artifact;
pub mod config_file;
pub mod definitions;
pub mod delete;
mod dir;
pub mod doctor;
pub mod gitfiles;
pub mod layout;
pub mod lifecycle;
pub mod lock;
pub mod log;
mod mounts;
pub mod owner;
pub mod plan;
pub mod project_files;
pub mod rebuild;
pub mod replace;
pub mod scaffold;
mod scan;
pub mod task;
