//! The fault campaign: thousands of trials of which each strikes a run in another way, and one invariant. The table
//! is made by `scripts/campaign`; short forms of the same trials are ordinary tests.

mod controls;
mod cover;
mod errors;
mod groups;
mod history;
mod moments;
mod oracle;
mod pool;
mod power;
mod run;
mod scenarios;
mod seeds;
mod short;
mod soak;
mod stage;
mod strikes;
mod table;
mod trees;
