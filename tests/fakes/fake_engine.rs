//! The fake engine.

fn main() {}
