//! What the end sequence needs of the process that runs it.

use std::io;
use std::time::Duration;

use crate::process::helper::Helpers;
use crate::process::tree::Swept;

pub trait Hands: Helpers {
    /// Ends every process of the run that is still there, spared ones excepted.
    fn sweep(&mut self) -> io::Result<Swept>;

    /// Sleeps, and goes on hearing signals and taking the engine's output meanwhile.
    fn pause(&mut self, time: Duration) -> io::Result<()>;

    /// Children that outlive a hook are not ours any more: a hook may start a run (prctl(2),
    /// PR_SET_CHILD_SUBREAPER).
    fn let_orphans_go(&mut self) -> io::Result<()>;
}
