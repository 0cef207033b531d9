//! Adding one line to a log, whole or not at all, and repairing an end that a crash cut off.

use std::io;
use std::path::Path;

use fs_err::File;

/// Appends one line, its line end included, with one `write(2)` and syncs it. The caller holds the log's lock and
/// has opened the file with `O_APPEND`. What could not be written or synced whole is cut off again.
pub fn append_line(file: &mut File, line: &[u8]) -> io::Result<()> {
    todo!()
}

/// Gives the log an end that a line can follow. A tail that is a whole object lacks only its line end; any other
/// tail moves to a new file in `side_dir`, where it stays.
pub fn repair_tail(file: &mut File, side_dir: &Path) -> io::Result<()> {
    todo!()
}
