//! Keeping secrets out of what is written down: which values are secret, and how they are replaced in a sentence and
//! in a stream of bytes.

mod dotenv;
mod forms;
mod names;
mod text;
mod veil;

pub use dotenv::assignments;
pub use text::Mask;
pub use veil::Veil;
