//! JSON in the bytes of Python's `json` module, and a reader for the odd lines that it lets through.

mod read;
mod stand_in;
#[cfg(test)]
mod tests;
mod write;

pub use read::{parse_line, parse_lossy};
pub use stand_in::shown;
pub use write::{compact, pretty, spaced};
