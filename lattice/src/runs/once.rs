//! A start for every occasion and yet only one run for a commit: what `--once` refuses.

use super::start::display;
use crate::model::event::{Event, PROCESS_STARTED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::run::Spec;

/// The worker has had this commit before, whatever became of it: a hook that fires again would only repeat a failure.
pub(super) fn refuse_repeated(events: &[Event], spec: &Spec) -> Result<()> {
    let is_same = |event: &&Event| {
        let data = event.data();
        event.kind() == PROCESS_STARTED
            && data["commit_sha"] == spec.commit_sha.as_str()
            && data["process_type"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(&spec.worker))
    };
    let Some(earlier) = events.iter().rev().find(is_same) else { return Ok(()) };
    let (worker, run) = (&spec.worker, earlier.id());
    let commit = spec.commit_sha.get(..10).unwrap_or(&spec.commit_sha);
    let message = format!("{worker} has had {commit} of {} already, as {run}", display(spec));
    Err(Failure::new(Code::Conflict, message)
        .hint(format!("lattice worker show {run}, or start it again without --once"))
        .detail("run", run))
}
