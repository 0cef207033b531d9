//! Lines of a log, understood as far as most of them have to be: what the event is, which one, and when. The whole event
//! is made of a line where somebody wants to know more.

mod read;
#[cfg(test)]
mod tests;
mod told;

pub use read::{Brief, Line};
pub use told::Told;
