//! Tests with a real git in temporary directories.

mod fixture;
mod repository;
mod salvage;
mod worktree;
