//! What every test stands on: a project of its own, the real binaries, real processes, and waits that are events.

pub mod agent;
pub mod asleep;
pub mod binaries;
pub mod call;
pub mod campaign;
pub mod cgroup;
pub mod clean;
pub mod disk;
pub mod engines;
pub mod held;
pub mod hold;
pub mod known;
pub mod logs;
pub mod namespace;
pub mod normalize;
pub mod peer;
pub mod process;
pub mod provider;
pub mod random;
pub mod run;
pub mod sandbox;
pub mod screen;
pub mod socket;
pub mod strace;
pub mod tree;
pub mod waiting;
