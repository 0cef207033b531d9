//! `debug`: one run in the foreground, for the person who writes a definition. No warden, no event unless asked.

mod foreground;
mod options;

pub(crate) use foreground::run;
pub(crate) use options::HELP;
