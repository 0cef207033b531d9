//! Somebody's `git gc`, which holds `gc.pid` for as long as it runs.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::table;

/// With a grace of two weeks, as it has by itself, a collection takes nothing of ours, however long it runs.
const COLLECTION_TAKES: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Until the `git gc` that runs now is over, or has taken too long to be waited for. What `git prune` does by itself
/// nobody can see.
pub(super) fn wait(common_dir: &Path) {
    let running = || fs_err::read_to_string(common_dir.join("gc.pid")).ok().filter(is_alive);
    let Some(now) = running() else { return };
    let deadline = Instant::now() + COLLECTION_TAKES;
    while running().as_ref() == Some(&now) && Instant::now() < deadline {
        thread::sleep(LOOK_AGAIN);
    }
}

/// `PID HOST`; one that was killed leaves its file.
#[expect(clippy::ptr_arg, reason = "it is asked of what an option holds")]
fn is_alive(owner: &String) -> bool {
    let pid = owner.split_whitespace().next().and_then(|pid| pid.parse().ok());
    pid.and_then(table::stat).is_some()
}
