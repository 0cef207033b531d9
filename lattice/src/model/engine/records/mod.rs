//! What the records of each engine mean. The shapes are those of the versions in the comments; fields that are
//! missing or of another type are as good as absent.

mod claude;
mod codex;
mod dispatch;
mod fields;
mod gemini;
mod opencode;

pub(super) use dispatch::{counts, take, words};
