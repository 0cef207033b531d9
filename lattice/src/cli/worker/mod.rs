//! `lattice worker`: definitions, and the runs that they become.

mod add;
mod apply;
mod check;
pub(crate) mod command;
mod complete;
mod diff;
mod duration;
mod env;
mod fail;
mod lay;
mod left;
mod list;
mod logs;
mod new;
mod prune;
mod ps;
mod reap;
mod refs;
mod report;
mod rerun;
mod run;
mod schema;
mod show;
mod stop;
mod tail;
mod wait;
mod watch;
