//! Reading a task's log: where it is, and its lines, in file order.

use std::io;
use std::path::Path;

use super::layout::Layout;
use crate::model::event::Event;
use crate::model::failure::Result;
use crate::model::ids::TaskId;

/// Where a task's log is. Both: an archiving that was interrupted, or a git merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Active,
    Archived,
    Both,
    Nowhere,
}

/// Looks at both places. A log that is not a regular file is an error.
pub fn locate(layout: &Layout, task: &TaskId) -> Result<Place> {
    todo!()
}

/// Reads a log. Lines that are no JSON object are skipped.
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    todo!()
}
