//! `config.json`: what a new one holds, and a lenient reader.

mod fresh;
mod read;
#[cfg(test)]
mod tests;

pub use fresh::Fresh;
pub use read::{Config, Workers};
