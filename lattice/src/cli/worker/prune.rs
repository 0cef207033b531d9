//! `lattice worker prune`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use lattice::model::failure::{Code, Failure, Result};
use lattice::process::bounded::Bounded;
use lattice::runs::prune::{self, Item, Rules, What};
use lattice::storage::task::read_config;

use crate::cli::out::Form;
use crate::cli::progress::Progress;
use crate::cli::runs::{context, reap_dead};
use crate::cli::session::Session;
use crate::render::plural::count;

const DAY: f64 = 86_400.0;

/// Remove what old runs have left
///
/// Logs, records and reports of ended runs; worktrees that were kept because not everything in them could be
/// saved; with --refs also the refs under which the rest was saved. Only what is older than the limit goes. Trees
/// that a crash left half deleted go at once. Events stay. Open runs are not touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker prune --dry-run
  lattice worker prune --keep-days 7
  lattice worker prune --keep-days 90 --refs && git gc")]
pub(crate) struct PruneArgs {
    /// What is younger stays [default: workers.keep_days of the configuration, else 30]
    #[arg(long, value_name = "N", value_parser = days)]
    keep_days: Option<Duration>,
    /// Refs of runs too: work that was not applied or merged is then lost
    #[arg(long)]
    refs: bool,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

fn days(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok();
    number
        .and_then(|days| Duration::try_from_secs_f64(days * DAY).ok())
        .ok_or_else(|| "use a number of days, zero or more".to_owned())
}

pub(crate) fn prune(session: &Session, args: &PruneArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    if !args.dry_run {
        reap_dead(session, &ctx);
    }
    let keep = match args.keep_days {
        Some(keep) => keep,
        None => configured(session, &ctx.layout)?,
    };
    let items = prune::plan(&ctx, &mut Bounded, Rules { keep, refs: args.refs })?;
    let progress = Progress::new(session, format!("removing {}", count(items.len(), "item")));
    let (mut gone, mut failures) = (Vec::new(), Vec::new());
    for item in items {
        match if args.dry_run { Ok(()) } else { prune::remove(&ctx, &mut Bounded, &item) } {
            Ok(()) => gone.push(item),
            Err(failure) => failures.push(failure),
        }
    }
    drop(progress);
    session.out.warn_all(failures.iter().map(ToString::to_string).collect());
    match failures.first().filter(|_| gone.is_empty()) {
        None => tell(session, &gone, args.dry_run),
        Some(failure) => {
            Err(Failure::new(Code::IoError, format!("nothing was removed: {failure}")))
        }
    }
}

fn configured(session: &Session, layout: &lattice::storage::layout::Layout) -> Result<Duration> {
    let config = read_config(layout)?;
    session.out.warn_all(config.worker_warnings());
    Ok(Duration::try_from_secs_f64(config.workers().keep_days * DAY).unwrap_or(Duration::MAX))
}

fn tell(session: &Session, items: &[Item], dry_run: bool) -> Result<()> {
    let out = &session.out;
    match out.form() {
        Form::Json => out.data(items.iter().map(as_json).collect()),
        Form::Quiet => items.iter().try_for_each(|item| out.line(name(item))),
        Form::Human if items.is_empty() => out.line("Nothing to prune."),
        Form::Human => {
            items.iter().try_for_each(|item| {
                let (kind, size) = (item.kind, human_size(item.bytes));
                out.line(format_args!("  {kind:<8}  {size:>9}  {}", name(item)))
            })?;
            let bytes = human_size(items.iter().map(|item| item.bytes).sum());
            let verb = if dry_run { "Would remove" } else { "Removed" };
            out.line(format_args!("{verb} {}, {bytes}.", count(items.len(), "item")))
        }
    }
}

fn name(item: &Item) -> String {
    match &item.what {
        What::File(path) | What::Tree(path) | What::Pooled(path) => path.display().to_string(),
        What::Worktree(found) => found.worktree.display().to_string(),
        What::Ref(found) => found.name.clone(),
    }
}

fn as_json(item: &Item) -> Value {
    let key = if matches!(item.what, What::Ref(_)) { "ref" } else { "path" };
    json!({"kind": item.kind, key: name(item), "bytes": item.bytes})
}

fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}
