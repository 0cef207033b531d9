//! Text from values. Decides nothing, reads nothing, prints nothing.

pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod comment;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod paint;
pub(crate) mod plural;
pub(crate) mod ps;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod task_run;
pub(crate) mod usage;
pub(crate) mod variables;
pub(crate) mod worker;
