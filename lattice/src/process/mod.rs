//! Processes: starting, watching and ending them. Knows nothing of `.lattice`.

mod arrivals;
#[cfg(feature = "cli")]
pub mod bounded;
pub mod bounds;
pub mod cgroup;
pub mod channel;
pub mod env;
pub mod gauge;
pub mod helper;
pub mod hunt;
pub mod identity;
pub mod inherit;
pub mod landlock;
mod log_file;
pub mod monotonic;
pub mod oom;
pub mod pipe;
pub mod pump;
pub mod reap;
pub mod sealed;
pub mod sparse;
pub mod spawn;
pub mod table;
pub mod tree;
pub mod undisturbed;
pub mod watch;
