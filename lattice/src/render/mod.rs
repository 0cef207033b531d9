//! Text from values. Decides nothing, reads nothing, prints nothing.

pub(crate) mod comment;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod paint;
pub(crate) mod task;
pub(crate) mod worker;
