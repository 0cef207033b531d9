//! Git: finding the repository without a process, and the few commands that need one.

pub mod branches;
pub mod carried;
mod changes;
mod collection;
pub mod command;
pub mod conversion;
pub mod drift;
pub mod durable;
pub mod history;
pub mod include;
pub mod index;
pub mod landing;
mod plain;
pub mod refs;
pub mod replay;
pub mod repository;
pub mod salvage;
mod scene;
mod submodules;
mod tips;
pub mod worktree;
mod writers;

#[cfg(test)]
mod tests;
