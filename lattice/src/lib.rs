//! Lattice as a library: what the command line and the supervisor share. It never prints, never exits and
//! never reads the environment.
//!
//! `runs` may use `storage`, `process` and `git`; all of them use `model`, which does no I/O at all.

pub mod controls;
pub mod git;
pub mod model;
pub mod process;
pub mod runs;
pub mod storage;
