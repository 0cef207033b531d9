//! What git must know about `.lattice/`: what not to commit, and how to merge logs. Runs no git.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use fs_err::OpenOptions;

use super::layout::Layout;
use super::owner;
use crate::model::failure::Result;

/// State of this machine, output of agents, copies of the project.
const IGNORED: [&str; 4] = ["locks/", "logs/", "runs/", "worktrees/"];

/// Two branches that both append to a log keep both their lines.
const ATTRIBUTES: [&str; 1] = ["events/*.jsonl merge=union"];

/// Adds the lines that are missing; `true` if there were any. Lines of the user stay as they are, whatever they
/// say. No lock: two processes that do this at once leave a line twice, which means the same.
pub fn ensure(layout: &Layout) -> Result<bool> {
    let ignore = add_lines(&layout.dir.join(".gitignore"), &IGNORED)?;
    let attributes = add_lines(&layout.dir.join(".gitattributes"), &ATTRIBUTES)?;
    Ok(ignore || attributes)
}

fn add_lines(path: &Path, lines: &[&str]) -> io::Result<bool> {
    let present = match fs_err::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let is_missing = |line: &&&str| !present.lines().any(|there| there.trim() == **line);
    let mut text: String = lines.iter().filter(is_missing).flat_map(|line| [*line, "\n"]).collect();
    if text.is_empty() {
        return Ok(false);
    }
    if !present.is_empty() && !present.ends_with('\n') {
        text.insert(0, '\n');
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    owner::inherit(file.file(), path);
    file.write_all(text.as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_lines_are_added() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::at(root.path());
        fs_err::create_dir(&layout.dir).unwrap();
        fs_err::write(layout.dir.join(".gitignore"), "mine\n  logs/").unwrap();
        assert!(ensure(&layout).unwrap());
        assert!(!ensure(&layout).unwrap());
        let text = fs_err::read_to_string(layout.dir.join(".gitignore")).unwrap();
        assert_eq!(text, "mine\n  logs/\nlocks/\nruns/\nworktrees/\n");
        let attributes = fs_err::read_to_string(layout.dir.join(".gitattributes")).unwrap();
        assert_eq!(attributes, "events/*.jsonl merge=union\n");
    }
}
