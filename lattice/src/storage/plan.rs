//! Plans: Markdown files beside the logs, written by whoever plans. Read and added to without locks.

use std::io::{self, ErrorKind, Read, Write};

use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt;
use nix::libc;

use super::layout::Layout;
use crate::model::ids::TaskId;
use crate::model::policy::Plan;

/// The plan of an active task. Bytes that are no UTF-8 are replaced.
pub fn read(layout: &Layout, task: &TaskId) -> Plan {
    match bytes(layout, task) {
        Ok(bytes) => Plan::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Plan::Missing,
        Err(_) => Plan::Unreadable,
    }
}

/// Without blocking: a named pipe would wait for a writer for ever.
fn bytes(layout: &Layout, task: &TaskId) -> io::Result<Vec<u8>> {
    let mut file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(layout.plan(task))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Adds a heading behind an empty line, if there is a plan. What follows it belongs to a new attempt.
pub fn add_heading(layout: &Layout, task: &TaskId, heading: &str) -> io::Result<()> {
    let old = match bytes(layout, task) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let end = if old.ends_with(b"\n") { "" } else { "\n" };
    let mut file = OpenOptions::new().append(true).open(layout.plan(task))?;
    file.write_all(format!("{end}\n{heading}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_the_place_of_a_plan() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path());
        layout.ensure_dirs().unwrap();
        let task = TaskId::generate();
        assert_eq!(read(&layout, &task), Plan::Missing);
        add_heading(&layout, &task, "## Reset").unwrap();
        assert_eq!(read(&layout, &task), Plan::Missing);
        for (old, new) in [("# T\n", "# T\n\n## Reset\n"), ("# T", "# T\n\n## Reset\n")] {
            fs_err::write(layout.plan(&task), old).unwrap();
            add_heading(&layout, &task, "## Reset").unwrap();
            assert_eq!(read(&layout, &task), Plan::Text(new.to_owned()));
        }
        fs_err::remove_file(layout.plan(&task)).unwrap();
        fs_err::create_dir(layout.plan(&task)).unwrap();
        assert_eq!(read(&layout, &task), Plan::Unreadable);
    }
}
