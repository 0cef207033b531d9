//! The processes above the fake, as `/proc` shows them.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fs_err as fs;
use nix::unistd::{Pid, getppid};

/// Who never comes to have the word is not waited for longer.
const LIMIT: Duration = Duration::from_secs(1);

/// Until the command lines of the parent and of its parent have this word.
pub(crate) fn await_word(word: &str) -> io::Result<()> {
    let parent = getppid();
    let both = [parent, parent_of(parent)?];
    let begin = Instant::now();
    while !both.iter().all(|pid| has(*pid, word)) && begin.elapsed() < LIMIT {
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn has(pid: Pid, word: &str) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
}

pub(crate) fn parent_of(pid: Pid) -> io::Result<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let parent = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(1));
    let parent = parent.and_then(|number| number.parse().ok());
    parent.map(Pid::from_raw).ok_or_else(|| io::Error::other("no stat file"))
}
