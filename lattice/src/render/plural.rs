//! Numbers of things.

use std::fmt::Display;

/// `1 run`, `3 runs`
pub(crate) fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    if number == N::from(1) { format!("1 {what}") } else { format!("{number} {what}s") }
}
