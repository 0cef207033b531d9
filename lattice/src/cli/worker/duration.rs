//! Durations as options take them.

pub(super) use lattice::model::duration::{minutes, seconds};
