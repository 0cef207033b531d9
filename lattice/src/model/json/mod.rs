//! JSON in the bytes of Python's `json` module, and a reader for the odd lines that it lets through.

mod fields;
mod read;
mod stand_in;
#[cfg(test)]
mod tests;
mod write;

pub use fields::parse_fields;
pub use read::{is_plain, parse_line, parse_lossy, parse_object};
pub use stand_in::shown;
pub use write::{
    compact, compact_object, is_pretty_object, pretty, pretty_object, pretty_struct, spaced,
};
