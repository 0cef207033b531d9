//! What a run has left, for the commands that show it and bring it back.

use lattice::model::failure::Result;
use lattice::process::bounded::Bounded;
use lattice::runs::context::Context;
use lattice::runs::query::{self, View};
use lattice::runs::work::{self, Found};

use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;

pub(super) fn left(session: &Session, target: &str) -> Result<(Context, View, Found)> {
    let ctx = context(session, &session.layout()?);
    reap_dead(session, &ctx);
    let run = query::find_of_task_or_run(&ctx, target, true)?;
    let view = query::view(&ctx, &run)?;
    let mut found = work::find(&ctx, &view, &mut Bounded)?;
    session.out.warn_all(std::mem::take(&mut found.notes));
    Ok((ctx, view, found))
}
