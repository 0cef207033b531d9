//! Where `workers.max_parallel` limits the number of runs: how many there are now.

use super::line::Line;
use crate::model::config::WhenFull;
use crate::runs::context::Context;
use crate::runs::slots;
use crate::storage::task;

/// A limit, and how much of it is taken.
struct Used {
    what: String,
    taken: u64,
    most: u64,
}

pub(super) fn parallel(ctx: &Context) -> Option<Line> {
    let workers = task::read_config(&ctx.layout).ok()?.workers();
    let at_work = match slots::at_work(&ctx.layout) {
        Ok(at_work) => at_work,
        Err(failure) => return Some(Line::of_failure("parallel", &failure)),
    };
    let limits = &workers.max_parallel;
    let total = limits.total.map(|most| Used {
        what: "slots".to_owned(),
        taken: slots::count(&at_work),
        most,
    });
    let engines = limits.engines.iter().map(|&(engine, most)| {
        let taken = slots::count(at_work.iter().filter(|run| slots::is_of(run, engine)));
        Used { what: format!("of {}", engine.name()), taken, most }
    });
    let used: Vec<Used> = total.into_iter().chain(engines).collect();
    if used.is_empty() {
        return None;
    }
    let one = |used: &Used| format!("{} of {} {}", used.taken, used.most, used.what);
    let now = used.iter().map(one).collect::<Vec<_>>().join(", ");
    let more = workers.when_full.fate();
    let says = format!("taken: {now}; one more {more}");
    let is_full = used.iter().any(|used| used.taken >= used.most);
    Some(if is_full && workers.when_full == WhenFull::Refuse {
        Line::doubtful("parallel", says, "lattice worker ps, or start it with --when-full wait")
    } else {
        Line::fine("parallel", says)
    })
}
