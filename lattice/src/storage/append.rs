//! Adding one line to a log, whole or not at all, and repairing an end that a crash cut off.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err::File;

use super::owner::make_dirs;
use super::replace::{publish_exclusive, sync_dir};
use crate::model::event::Event;

/// Appends one line, or several, line ends included, with one `write(2)` and syncs it. The caller holds the log's lock and
/// has opened the file with `O_APPEND`. What could not be written or synced whole is cut off again.
pub fn append_line(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    let result = write_once(file, line).and_then(|()| file.sync_data());
    if result.is_err() {
        // A cut that fails too leaves a torn tail, which the next writer repairs.
        drop(file.set_len(before).and_then(|()| file.sync_data()));
    }
    result
}

/// Python's readers take no lock: a line in two pieces could be read half.
fn write_once(file: &mut File, line: &[u8]) -> io::Result<()> {
    loop {
        match file.write(line) {
            Ok(written) if written == line.len() => return Ok(()),
            Ok(written) => {
                let path = file.path().display();
                let why = format!(
                    "failed to write to file `{path}`: {written} of {} bytes fit",
                    line.len()
                );
                return Err(io::Error::new(io::ErrorKind::StorageFull, why));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives the log an end that a line can follow. A tail that is a whole object lacks only its line end; any other
/// tail moves to a new file in `side_dir`, where it stays. The caller holds the log's lock.
pub fn repair_tail(file: &mut File, side_dir: &Path) -> io::Result<()> {
    let (start, tail) = unfinished_tail(file)?;
    if tail.is_empty() {
        return Ok(());
    }
    if Event::parse(&tail).is_some() {
        return append_line(file, b"\n");
    }
    // First the copy, then the cut: a crash between them leaves the bytes in both places.
    set_aside(file.path(), side_dir, start, &tail)?;
    file.set_len(start)?;
    file.sync_data()
}

/// What follows the last line end, and where it begins.
fn unfinished_tail(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    const BLOCK: u64 = 4096;
    let mut start = file.metadata()?.len();
    let mut tail = Vec::new();
    while start > 0 {
        let block_start = start.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(block_start))?;
        Read::by_ref(file).take(start - block_start).read_to_end(&mut block)?;
        let line_end = block.iter().rposition(|&byte| byte == b'\n');
        let kept = line_end.map_or(0, |at| at + 1);
        tail.splice(..0, block[kept..].iter().copied());
        start = block_start + u64::try_from(kept).expect("a block is small");
        if line_end.is_some() {
            break;
        }
    }
    Ok((start, tail))
}

/// Keeps bytes of a file that are to go from it, durably: in `<file's name>.<offset>`, and a number where that is
/// taken.
pub fn set_aside(log: &Path, side_dir: &Path, start: u64, tail: &[u8]) -> io::Result<()> {
    make_dirs(side_dir, 0o700)?;
    let name = log.file_name().unwrap_or_default().display();
    for attempt in 0_u32.. {
        let path = side_dir.join(match attempt {
            0 => format!("{name}.{start}"),
            _ => format!("{name}.{start}.{attempt}"),
        });
        match publish_exclusive(&path, tail) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    sync_dir(side_dir)
}

#[cfg(test)]
mod tests {
    use fs_err::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn open(path: &Path) -> File {
        fs_err::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .unwrap()
    }

    /// `torn`: what is in the side file afterwards.
    #[track_caller]
    fn check(content: &str, repaired: &str, torn: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("t.jsonl");
        let side = dir.path().join("torn");
        fs_err::write(&log, content).unwrap();
        for _ in 0..2 {
            repair_tail(&mut open(&log), &side).unwrap();
            assert_eq!(fs_err::read_to_string(&log).unwrap(), repaired);
        }
        let files: Vec<_> = fs_err::read_dir(&side)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        let kept: Vec<_> = files.iter().map(|path| fs_err::read_to_string(path).unwrap()).collect();
        assert_eq!(kept, torn.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn tails() {
        check("", "", None);
        check("{\"a\":1}\n", "{\"a\":1}\n", None);
        check("{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n{\"b\":2}\n", None);
        check("{\"b\":2}", "{\"b\":2}\n", None);
        check("{\"a\":1}\n{\"b\":", "{\"a\":1}\n", Some("{\"b\":"));
        check("{\"b\":", "", Some("{\"b\":"));
        check("{\"a\":1}\n\0\0\0", "{\"a\":1}\n", Some("\0\0\0"));
        check("{\"a\":1}\n7", "{\"a\":1}\n", Some("7"));
        let long = format!("{{\"a\":\"{}", "x".repeat(10_000));
        check(&format!("{{}}\n{long}"), "{}\n", Some(&long));
        check(&format!("{{}}\n{long}\"}}"), &format!("{{}}\n{long}\"}}\n"), None);
    }

    #[test]
    fn a_second_torn_tail_at_the_same_place_is_kept_too() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("t.jsonl");
        for tail in ["{1", "{2"] {
            fs_err::write(&log, tail).unwrap();
            repair_tail(&mut open(&log), dir.path()).unwrap();
        }
        assert_eq!(fs_err::read_to_string(dir.path().join("t.jsonl.0")).unwrap(), "{1");
        assert_eq!(fs_err::read_to_string(dir.path().join("t.jsonl.0.1")).unwrap(), "{2");
    }

    #[test]
    fn s13_a_line_that_does_not_fit_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("t.jsonl");
        fs_err::write(&log, "{}\n").unwrap();
        let mut file = File::open(&log).unwrap();
        assert!(append_line(&mut file, b"{}\n").is_err(), "a descriptor without write access");
        let full = append_line(&mut open(Path::new("/dev/full")), b"{}\n").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        append_line(&mut open(&log), b"{\"b\":1}\n").unwrap();
        assert_eq!(fs_err::read_to_string(&log).unwrap(), "{}\n{\"b\":1}\n");
    }
}
