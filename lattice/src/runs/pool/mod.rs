//! Worktrees that ended runs have left, cleaned and kept for the next one: only where `workers.worktree_pool` allows
//! it, and only while nothing about them is in doubt.
//!
//! A member is a directory `.pool-…` beside the worktrees: `tree`, the index that is its witness, and last of all
//! `facts.json`, which makes it a member. Git knows nothing of it: a run that takes it gets an entry of its own, made
//! by `git worktree add`. Whoever puts, takes or deletes one holds its lock, flock(2) on the directory; one without
//! facts whose lock is free is what a kill has left.

mod content;
mod facts;
mod member;
mod place;
mod put;
mod restore;
mod room;
mod survey;
mod take;
mod tree;

pub use member::PREFIX;
pub use put::{Checkout, Noted, Slot};
pub use room::{collect, prune, surplus};
pub use survey::{ROLE as SURVEY, survey};
pub use take::{Pool, take};
