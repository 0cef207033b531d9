//! The end of a run, E0 to E6: the same code for shim, warden and reaper, every step repeatable.

mod clear;
mod commit;
pub mod hands;
mod hooks;
pub mod leftover;
mod publish;
mod report_copy;
mod retire;
mod save;
pub mod sequence;
mod told;

pub use hooks::fire;
