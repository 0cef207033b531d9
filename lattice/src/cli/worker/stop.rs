//! `lattice worker stop`

use clap::Args;

use lattice::model::event::Event;
use lattice::model::failure::Result;
use lattice::runs::context::Context;
use lattice::runs::query::{self, OpenRow, State};
use lattice::runs::stop as stopping;

use crate::cli::out::Form;
use crate::cli::progress::Progress;
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render;
use crate::render::plural::count;

/// End a run
///
/// The worker and everything that it has started get TERM, then, after the grace of its definition, KILL. What
/// it has changed is saved. Returns when the end is recorded, as failed with the reason stopped.
#[derive(Debug, Args)]
#[command(override_usage = "lattice worker stop [OPTIONS] <RUN|TASK|--all>")]
#[command(after_help = "\
Examples:
  lattice worker stop LAT-42
  lattice worker stop 7QK3ZD --now
  lattice worker stop --all          every run of this project")]
pub(crate) struct StopArgs {
    /// A run (full ID, or 4 or more of its last characters), or a task: its one open run
    #[arg(value_name = "RUN|TASK", required_unless_present = "all", conflicts_with = "all")]
    target: Option<String>,
    /// Every open run that is supervised here, but not the one that this is part of
    #[arg(long)]
    all: bool,
    /// Without the grace
    #[arg(long)]
    now: bool,
}

pub(crate) fn stop(session: &Session, args: &StopArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    let interrupts = session.interrupts.watch()?;
    let mut wanted = || !interrupts.interrupted();
    let Some(target) = &args.target else { return stop_all(session, &ctx, args.now, &mut wanted) };
    let run = query::find_of_task_or_run(&ctx, target, false)?;
    let task = query::view(&ctx, &run)?.task;
    let progress = Progress::new(session, format!("stopping {run}"));
    let event = stopping::stop(&ctx, &run, &task, args.now, &mut wanted)?;
    drop(progress);
    session.out.answer(event.to_value(), event.id(), render::worker::outcome(&event))
}

fn stop_all(
    session: &Session,
    ctx: &Context,
    now: bool,
    wanted: &mut dyn FnMut() -> bool,
) -> Result<()> {
    reap_dead(session, ctx);
    let mut open = query::open(ctx)?;
    open.retain(|row| ctx.own_run.as_ref() != Some(&row.run));
    let (elsewhere, here): (Vec<OpenRow>, Vec<OpenRow>) =
        open.into_iter().partition(|row| row.state == State::Unsupervised);
    for OpenRow { run, .. } in elsewhere {
        let hint = format!("if it is over: lattice worker fail {run}");
        session.out.warn(format_args!("{run} is not supervised here ({hint})"));
    }
    let runs: Vec<_> = here.into_iter().map(|row| (row.run, row.task)).collect();
    let (mut ended, mut failures) = (Vec::new(), Vec::new());
    let progress = Progress::new(session, format!("stopping {}", count(runs.len(), "run")));
    for answer in stopping::stop_all(ctx, &runs, now, wanted) {
        match answer {
            Ok(event) => ended.push(event),
            Err(failure) => failures.push(failure),
        }
    }
    drop(progress);
    let data = ended.iter().map(Event::to_value).collect();
    if !failures.is_empty() {
        session.out.keep(data);
        let first = failures.swap_remove(0);
        for failure in failures {
            session.out.warn(failure);
        }
        return Err(first);
    }
    match session.out.form() {
        Form::Json => session.out.data(data),
        Form::Quiet => ended.iter().try_for_each(|event| session.out.line(event.id())),
        Form::Human if ended.is_empty() => session.out.line("No active worker processes."),
        Form::Human => {
            ended.iter().try_for_each(|event| session.out.line(render::worker::outcome(event)))
        }
    }
}
