//! Looking at very many small files: few system calls for each, on every core, the results in order.
//!
//! Only the command line looks at all tasks at once; the supervisors stay with their one thread.

use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use fs_err::File;

/// One thread's share below this is done sooner than a thread is started.
const LEAST: usize = 64;

/// As many results are in memory at a time, whatever the number of tasks.
const BLOCK: usize = 256;

/// What most snapshots and logs fit into.
const GUESS: usize = 16 * 1024;

/// `look` at each key, on several threads; `take` what it found, here and in the order of the keys.
pub(super) fn each<K: Sync, T: Send>(
    keys: &[K],
    look: impl Fn(&K) -> T + Sync,
    mut take: impl FnMut(&K, T),
) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    for block in keys.chunks(BLOCK) {
        let share = block.len().div_ceil(threads).max(LEAST);
        let (own, others) = block.split_at(share.min(block.len()));
        let look_at = |keys: &[K]| keys.iter().map(&look).collect::<Vec<T>>();
        let found = thread::scope(|scope| {
            let started: Vec<_> =
                others.chunks(share).map(|keys| scope.spawn(|| look_at(keys))).collect();
            let mut found = look_at(own);
            for thread in started {
                match thread.join() {
                    Ok(more) => found.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            found
        });
        block.iter().zip(found).for_each(|(key, found)| take(key, found));
    }
}

/// A whole file, by open, one read that finds its end, and close: for a small file half of the calls of
/// `std::fs::read`, which asks for its size and place first.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut content = vec![0; GUESS];
    let mut end = 0;
    loop {
        match file.file().read_at(&mut content[end..], end as u64) {
            // Regular files give all they have: a read that is short has found the end.
            Ok(count) if end + count < content.len() => {
                content.truncate(end + count);
                content.shrink_to_fit();
                return Ok(content);
            }
            Ok(count) => end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let why = format!("failed to read from file `{}`: {error}", path.display());
                return Err(io::Error::new(error.kind(), why));
            }
        }
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        content.resize((end + 1).max(size + 1), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_all_of_them() {
        for count in [0, 1, LEAST, BLOCK, 3 * BLOCK + 7] {
            let keys: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            each(&keys, |key| key * 2, |key, double| seen.push((*key, double)));
            assert_eq!(seen, keys.iter().map(|key| (*key, key * 2)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn files_of_every_size_are_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for size in [0, 1, GUESS - 1, GUESS, GUESS + 1, 3 * GUESS, 1 << 20] {
            let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            fs_err::write(&path, &content).unwrap();
            assert!(read(&path).unwrap() == content, "{size} bytes");
        }
        let why = read(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(why.contains("missing"), "{why}");
    }
}
