//! `hook`: keeps one hook within its limit, with all that it starts.
//!
//! It is a subreaper, so what the hook has started and left comes to it, whatever session that is in. What a hook that
//! ends in time leaves behind is let go; of one that is late, or cut off, nothing stays but runs that it has started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::RunId;
use lattice::process::reap::{self, Child};
use lattice::process::{inherit, spawn};

use crate::loops::Loop;

/// Between TERM and KILL: less than who is behind this process gives it.
const GRACE: Duration = Duration::from_secs(1);

/// What has to stand before the hook's own words.
pub(crate) fn words(run: &RunId, limit: Duration) -> [OsString; 4] {
    let limit = limit.as_millis().to_string();
    [spawn::own_program().into(), "hook".into(), run.as_str().into(), limit.into()]
}

/// `hook RUN MILLISECONDS PROGRAM ARGUMENT…`
pub(crate) fn run(words: &[OsString]) -> Result<()> {
    let [run, limit, program, arguments @ ..] = words else { return Err(misuse()) };
    let run = run.to_str().and_then(RunId::parse).ok_or_else(misuse)?;
    let limit = limit.to_str().and_then(|limit| limit.parse().ok()).ok_or_else(misuse)?;
    let deadline = Instant::now() + Duration::from_millis(limit);
    let mut turns = Loop::before(run, 0, None)?;
    inherit::adopt_orphans(true)?;
    // A group of its own: the end of that must not be the end of this process.
    let hook = spawn::inheriting(program).args(arguments).process_group(0).spawn()?;
    let leader = hook.id().cast_signed();
    while reap::peek(leader) == Child::Running {
        // The only stop that is told to this process is the death of its supervisor, or that one's impatience.
        if Instant::now() >= deadline || !turns.stops.is_empty() {
            turns.end_tree(Some(leader), GRACE)?;
            return Ok(());
        }
        turns.turn(Some(deadline))?;
    }
    Ok(())
}

fn misuse() -> Failure {
    Failure::new(Code::Usage, "the keeper of a hook is started by the supervisor only")
}
