//! `config.json`: what a new one holds, and a lenient reader.

mod fresh;
mod parallel;
mod read;
#[cfg(test)]
mod tests;

pub use fresh::Fresh;
pub use parallel::{MaxParallel, WhenFull};
pub use read::{Config, Workers};
