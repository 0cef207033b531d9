//! The one loop that waits for what no descriptor announces, such as a line in a file.

use std::thread;
use std::time::{Duration, Instant};

/// For what must happen, however busy the machine is. A test that measures a promise states its own limit.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks until the answer is `Ok`; fails with the last `Err` when the limit has passed.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(state) if start.elapsed() >= limit => {
                panic!("{what}: not within {limit:?}; at the end: {state}")
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// A test that cannot run here says so, in a form that `scripts/check` can count.
pub fn skipped(test: &str, reason: &str) {
    println!("SKIPPED: {test}: {reason}");
}
