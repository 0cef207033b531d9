//! (being written)

/// Variables by which git tells its hooks and aliases which repository they serve. They would point our own git
/// calls, and those of the engine, at the wrong repository.
pub const GIT_LOCAL: &[&str] = &["GIT_DIR"];
