//! Tests with a real git in temporary directories.

mod fixture;
mod repository;
mod run;
mod salvage_changes;
mod salvage_collection;
mod salvage_commits;
mod salvage_together;
mod salvage_vetoes;
mod worktree;
