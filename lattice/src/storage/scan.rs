//! Looking at very many small files: few system calls for each, on every core, the results in order.
//!
//! Only the command line looks at all tasks at once; the supervisors stay with their one thread.

use std::cell::Cell;
use std::fs;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use fs_err::File;

/// What is looked at between two messages; fewer are sooner done than a thread is started.
const BLOCK: usize = 64;

/// How many blocks a thread may be ahead, so that few results are in memory, whatever the number of tasks.
const AHEAD: usize = 2;

/// What most snapshots and logs fit into.
const GUESS: usize = 16 * 1024;

/// Memory that is given back after one unusual file.
const LARGE: usize = 1024 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `look` at each key, on several threads; `take` what it found, here and in the order of the keys.
pub(super) fn each<K: Sync, T: Send>(
    keys: &[K],
    look: impl Fn(&K) -> T + Sync,
    mut take: impl FnMut(&K, T),
) {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(keys.len().div_ceil(BLOCK));
    if threads <= 1 {
        return keys.iter().for_each(|key| take(key, look(key)));
    }
    let blocks = || keys.chunks(BLOCK);
    let look = &look;
    thread::scope(|scope| {
        let start = |first| {
            let (sender, receiver) = sync_channel(AHEAD);
            let mut own = blocks().skip(first).step_by(threads);
            // Nobody receives any more if `take` has panicked.
            scope.spawn(move || {
                own.try_for_each(|block| sender.send(block.iter().map(look).collect::<Vec<T>>()))
            });
            receiver
        };
        let receivers: Vec<_> = (0..threads).map(start).collect();
        for (block, receiver) in blocks().zip(receivers.iter().cycle()) {
            // A thread that is gone has panicked, which the scope passes on.
            let Ok(found) = receiver.recv() else { break };
            block.iter().zip(found).for_each(|(key, found)| take(key, found));
        }
    });
}

/// A whole file, by open, one read that finds its end, and close: for a small file half of the calls of
/// `std::fs::read`, which asks for its size and place first.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    look_into(path, <[u8]>::to_vec)
}

/// The same for content that is not kept: the next file takes its place in memory.
pub(super) fn look_into<T>(path: &Path, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    look_into_file(File::open(path)?.file(), look).map_err(|error| unread(path, &error))
}

pub(super) fn unread(path: &Path, error: &io::Error) -> io::Error {
    let why = format!("failed to read from file `{}`: {error}", path.display());
    io::Error::new(error.kind(), why)
}

/// The same for a file that is open.
pub(super) fn look_into_file<T>(file: &fs::File, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut buffer = BUFFER.take();
    let found = fill(file, &mut buffer).map(|end| look(&buffer[..end]));
    if buffer.len() <= LARGE {
        BUFFER.set(buffer);
    }
    found
}

/// Reads a file into the beginning of a buffer, and gives its size.
fn fill(file: &fs::File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.resize(buffer.len().max(GUESS), 0);
    let mut end = 0;
    loop {
        match file.read_at(&mut buffer[end..], end as u64) {
            // Regular files give all they have: a read that is short has found the end.
            Ok(count) if end + count < buffer.len() => return Ok(end + count),
            Ok(count) => end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        buffer.resize((end + 1).max(size + 1), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_all_of_them() {
        for count in [0, 1, BLOCK, BLOCK + 1, 100 * BLOCK + 7] {
            let keys: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            each(&keys, |key| key * 2, |key, double| seen.push((*key, double)));
            assert_eq!(seen, keys.iter().map(|key| (*key, key * 2)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nobody_is_far_ahead_of_what_has_been_taken() {
        use std::sync::atomic::{AtomicUsize, Ordering};

        let keys: Vec<usize> = (0..200 * BLOCK).collect();
        let looked = AtomicUsize::new(0);
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let bound = (AHEAD + 3) * cores * BLOCK;
        each(
            &keys,
            |_| looked.fetch_add(1, Ordering::Relaxed),
            |key, _| assert!(looked.load(Ordering::Relaxed) <= key + bound, "at {key}"),
        );
    }

    #[test]
    fn files_of_every_size_are_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for size in [0, 1, GUESS - 1, GUESS, GUESS + 1, 3 * GUESS, LARGE, LARGE + 1, 7] {
            let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            fs_err::write(&path, &content).unwrap();
            assert!(read(&path).unwrap() == content, "{size} bytes");
        }
        let why = read(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(why.contains("missing"), "{why}");
    }

    #[test]
    fn one_file_may_be_read_while_another_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        fs_err::write(&one, "1").unwrap();
        fs_err::write(&other, "22").unwrap();
        let both = look_into(&one, |one| (one.to_vec(), read(&other).unwrap())).unwrap();
        assert_eq!(both, (b"1".to_vec(), b"22".to_vec()));
    }
}
