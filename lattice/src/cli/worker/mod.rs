//! `lattice worker`: definitions, and the runs that they become.

pub(crate) mod command;
mod complete;
mod duration;
mod fail;
mod list;
mod logs;
mod ps;
mod reap;
mod report;
mod run;
mod show;
mod stop;
mod tail;
mod wait;
mod watch;
