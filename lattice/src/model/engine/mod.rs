//! Engines: how each one is called, what its output says, and what follows from that. Pure: the callers read files,
//! environments and exits, and start processes.

mod account;
pub mod argv;
pub mod class;
pub mod evidence;
mod lines;
pub mod preset;
pub mod prompt;
mod records;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use account::{Account, Outcome, Trouble};
