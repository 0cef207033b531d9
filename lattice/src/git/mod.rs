//! Git: finding the repository without a process, and the few commands that need one.

pub mod carried;
pub mod command;
pub mod repository;
pub mod salvage;
pub mod worktree;

#[cfg(test)]
mod tests;
