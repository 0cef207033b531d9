//! Finding what is wrong in `.lattice`, and putting it right. One task is in memory at a time.

mod across;
mod files;
mod index;
mod places;
mod repair;
mod survey;
mod task;

pub use repair::repair;
pub use survey::{Survey, survey};
