//! What every command prints, kept as transcripts that a person can read: one file a scene, replayed word by word.

mod scenes;
mod settle;
mod transcript;
