//! The process table as the kernel shows it: Linux reads `/proc`; elsewhere nothing is known, and callers
//! treat that as "cannot look", never as "nobody is there".

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
pub use portable::*;

mod stat;
pub use stat::Stat;
