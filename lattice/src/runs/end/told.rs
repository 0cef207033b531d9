//! The engine's own account, for an ender that has not followed its output.

use super::sequence::End;
use crate::model::outcome::{Facts, Told};
use crate::runs::follow::Follower;

/// From the log where nobody has it yet, and without anybody's secrets: its words go into the record.
pub(super) fn complete(end: &End<'_>, facts: &mut Facts) {
    if facts.told.is_none() {
        facts.told = from_log(end).map(Box::new);
    }
    if let Some(told) = &mut facts.told {
        told.account.rewrite(&|text| end.mask.map_or_else(String::new, |mask| mask.apply(text)));
    }
}

/// `None` for an engine that never began, and for a log that cannot be read.
fn from_log(end: &End<'_>) -> Option<Told> {
    let from = end.run.engine_identity()?.output_from?;
    let log = end.layout.dir.join(&end.spec.log_path);
    let mut follower = Follower::open(end.spec, &log, from).ok()??;
    follower.catch_up().ok()?;
    Some(follower.finish())
}
