//! Without `/proc`: nothing can be looked up. Containment is then the process group alone, and the record says so.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Stat;

pub fn stat(_pid: i32) -> Option<Stat> {
    None
}

pub fn all() -> Vec<Stat> {
    Vec::new()
}

pub fn children(_pid: i32) -> Vec<i32> {
    Vec::new()
}

pub fn carries(_pid: i32, _variable: &str) -> bool {
    false
}

pub fn arguments(_pid: i32) -> Vec<OsString> {
    Vec::new()
}

pub fn cwd(_pid: i32) -> Option<PathBuf> {
    None
}

pub fn holds_pipe(_pid: i32, _inode: u64) -> bool {
    false
}

pub fn uid(_pid: i32) -> Option<u32> {
    None
}

/// Nobody can tell.
pub fn is_used(_name: &std::ffi::OsStr) -> bool {
    true
}

pub fn acts_as_another(_pid: i32) -> bool {
    false
}

pub fn command_name(_pid: i32) -> Option<String> {
    None
}

pub fn memory(_pid: i32) -> u64 {
    0
}

pub fn exact_memory(_pid: i32) -> u64 {
    0
}

pub fn pid_namespace(_pid: i32) -> u64 {
    0
}

pub fn can_see_namespace(_inode: u64) -> bool {
    true
}

/// Unknown: an empty boot ID never equals another machine's, so nothing is taken for rebooted.
pub fn boot_id() -> String {
    String::new()
}
