//! `lattice worker`: the group and its help.

use clap::{Command, Subcommand};

use lattice::model::failure::Result;

use super::{
    add, apply, check, complete, diff, env, fail, list, logs, new, prune, ps, reap, refs, rerun,
    run, schema, show, stop, verdict, wait,
};
use crate::cli::alone::of;
use crate::cli::session::Session;

/// Run workers on tasks, and watch, end and inspect the runs
///
/// A worker is a file `workers/*.json` in the project root: what to run, how long it may take, and in which
/// surroundings. A run is one execution of a worker on a task. It is named by the ID of its start event; the
/// last 4 or more characters will do wherever a RUN is asked for.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum WorkerCommand {
    Run(run::RunArgs),
    List(list::ListArgs),
    New(new::NewArgs),
    Add(add::AddArgs),
    Check(check::CheckArgs),
    Env(env::EnvArgs),
    Schema(schema::SchemaArgs),
    Verdict(verdict::VerdictArgs),
    Ps(ps::PsArgs),
    Show(show::ShowArgs),
    Logs(logs::LogsArgs),
    Wait(wait::WaitArgs),
    Stop(stop::StopArgs),
    Reap(reap::ReapArgs),
    Complete(complete::CompleteArgs),
    Fail(fail::FailArgs),
    Rerun(rerun::RerunArgs),
    Diff(diff::DiffArgs),
    Apply(apply::ApplyArgs),
    Refs(refs::RefsArgs),
    Prune(prune::PruneArgs),
}

const EXAMPLES: &str = "\
Examples:
  lattice worker list                        which there are, and what is wrong with broken ones
  lattice worker add CodeReviewLite          get one of those that come with Lattice
  lattice worker check                       whether they would start, and what is in the way
  lattice worker run Review LAT-42           start one; it goes on by itself
  lattice worker run Review LAT-42 --follow  start one and watch it
  lattice worker ps                          what runs now
  lattice worker logs LAT-42 -f              what it prints
  lattice worker stop LAT-42                 end it: the end is recorded as failed, stopped
  lattice worker diff LAT-42 --stat          what it has changed
  lattice worker apply LAT-42                bring that onto the current branch
  lattice worker prune --dry-run             what old runs have left that could go";

/// A command of the group by itself.
pub(in crate::cli) fn alone(name: &str) -> Option<Command> {
    Some(match name {
        "run" => of::<run::RunArgs>("run"),
        "list" => of::<list::ListArgs>("list"),
        "new" => of::<new::NewArgs>("new"),
        "add" => of::<add::AddArgs>("add"),
        "check" => of::<check::CheckArgs>("check"),
        "env" => of::<env::EnvArgs>("env"),
        "schema" => of::<schema::SchemaArgs>("schema"),
        "verdict" => of::<verdict::VerdictArgs>("verdict"),
        "ps" => of::<ps::PsArgs>("ps"),
        "show" => of::<show::ShowArgs>("show"),
        "logs" => of::<logs::LogsArgs>("logs"),
        "wait" => of::<wait::WaitArgs>("wait"),
        "stop" => of::<stop::StopArgs>("stop"),
        "reap" => of::<reap::ReapArgs>("reap"),
        "complete" => of::<complete::CompleteArgs>("complete"),
        "fail" => of::<fail::FailArgs>("fail"),
        "rerun" => of::<rerun::RerunArgs>("rerun"),
        "diff" => of::<diff::DiffArgs>("diff"),
        "apply" => of::<apply::ApplyArgs>("apply"),
        "refs" => of::<refs::RefsArgs>("refs"),
        "prune" => of::<prune::PruneArgs>("prune"),
        _ => return None,
    })
}

pub(crate) fn worker(session: &Session, command: WorkerCommand) -> Result<()> {
    match command {
        WorkerCommand::Run(args) => run::run(session, &args),
        WorkerCommand::List(args) => list::list(session, &args),
        WorkerCommand::Ps(args) => ps::ps(session, &args),
        WorkerCommand::Show(args) => show::show(session, &args),
        WorkerCommand::Logs(args) => logs::logs(session, &args),
        WorkerCommand::Wait(args) => wait::wait(session, &args),
        WorkerCommand::Stop(args) => stop::stop(session, &args),
        WorkerCommand::Reap(args) => reap::reap(session, &args),
        WorkerCommand::Complete(args) => complete::complete(session, &args),
        WorkerCommand::Fail(args) => fail::fail(session, &args),
        WorkerCommand::Rerun(args) => rerun::rerun(session, &args),
        WorkerCommand::Diff(args) => diff::diff(session, &args),
        WorkerCommand::Apply(args) => apply::apply(session, &args),
        WorkerCommand::Refs(args) => refs::refs(session, &args),
        WorkerCommand::Prune(args) => prune::prune(session, &args),
        WorkerCommand::New(args) => new::new(session, &args),
        WorkerCommand::Add(args) => add::add(session, &args),
        WorkerCommand::Check(args) => check::check(session, &args),
        WorkerCommand::Env(args) => env::env(session, &args),
        WorkerCommand::Verdict(args) => verdict::verdict(session, &args),
        WorkerCommand::Schema(args) => schema::schema(session, &args),
    }
}
