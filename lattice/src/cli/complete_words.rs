//! What a word of the command line may become, from what is there now: workers, tasks, runs. Reads only, reaps
//! nothing, and where there is no project it has nothing to offer.

use std::ffi::OsStr;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use lattice::model::reduce::Snapshot;
use lattice::model::shipped::WORKERS;
use lattice::runs::context::Context;
use lattice::runs::query::{self, OpenRow};
use lattice::runs::record;
use lattice::storage::definitions;
use lattice::storage::layout::Layout;
use lattice::storage::task::{list_snapshots, read_config};

use crate::render::event::one_line;
use crate::render::table::cut;
use crate::render::worker::suffix;

/// Of the ended runs the newest are meant most often.
const ENDED: usize = 20;
const HELP: usize = 60;

/// Commands whose NAME is a worker's.
const WITH_WORKER: [&str; 3] = ["run", "env", "check"];

/// Teaches every argument by the name of its value, wherever in the tree of commands it stands.
pub(crate) fn teach(command: Command) -> Command {
    let name = command.get_name().to_owned();
    command.mut_args(|arg| teach_arg(arg, &name)).mut_subcommands(teach)
}

fn teach_arg(arg: Arg, command: &str) -> Arg {
    let name = match arg.get_value_names() {
        Some([name]) => name.to_string(),
        _ => arg.get_id().as_str().to_uppercase(),
    };
    let completer = match (name.as_str(), command) {
        ("TASK", "unarchive") => ArgValueCompleter::new(archived_tasks),
        ("TASK" | "TARGET", _) => ArgValueCompleter::new(tasks),
        ("RUN|TASK", "stop") => ArgValueCompleter::new(what_runs),
        ("RUN|TASK" | "TASK|RUN", _) => ArgValueCompleter::new(runs_and_tasks),
        ("RUN", _) => ArgValueCompleter::new(open_runs),
        ("STATUS", _) => ArgValueCompleter::new(statuses),
        ("NAME", _) if WITH_WORKER.contains(&command) => ArgValueCompleter::new(workers),
        ("SHIPPED", _) => ArgValueCompleter::new(shipped_workers),
        _ => return arg,
    };
    arg.add(completer)
}

fn workers(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(layout) = layout() else { return Vec::new() };
    let found = definitions::all(&layout).unwrap_or_default().into_iter();
    let valid = found.filter_map(|found| found.result.ok());
    matching(current, valid.map(|definition| (definition.name, definition.description)))
}

fn shipped_workers(current: &OsStr) -> Vec<CompletionCandidate> {
    matching(current, WORKERS.iter().map(|worker| (worker.name.to_owned(), String::new())))
}

fn tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    tasks_where(current, |archived| !archived)
}

fn archived_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    tasks_where(current, |archived| archived)
}

fn tasks_where(current: &OsStr, wanted: fn(bool) -> bool) -> Vec<CompletionCandidate> {
    let Some(layout) = layout() else { return Vec::new() };
    let (tasks, _) = list_snapshots(&layout, true);
    let tasks = tasks.into_iter().filter(|(_, archived)| wanted(*archived));
    matching(current, tasks.map(|(task, _)| (task.display_id().to_owned(), title(&task))))
}

fn title(task: &Snapshot) -> String {
    format!("{}, {}", task.title(), task.status())
}

/// By their last characters, which is what people type.
fn open_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let open = layout().map(|layout| query::open(&context(layout)).unwrap_or_default());
    matching(current, open.unwrap_or_default().iter().map(open_run))
}

fn open_run(row: &OpenRow) -> (String, String) {
    let help = format!("{} on {}, {}", row.worker, task_name(row), row.state.as_str());
    (suffix(row.run.as_str()).to_owned(), help)
}

fn task_name(row: &OpenRow) -> &str {
    row.short_id.as_deref().unwrap_or(row.task.as_str())
}

/// Open runs, and the tasks that have one.
fn what_runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let open = layout().map(|layout| query::open(&context(layout)).unwrap_or_default());
    let open = open.unwrap_or_default();
    let mut tasks: Vec<(String, String)> =
        open.iter().map(|row| (task_name(row).to_owned(), row.title.clone())).collect();
    tasks.dedup();
    matching(current, open.iter().map(open_run).chain(tasks))
}

fn runs_and_tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(layout) = layout() else { return Vec::new() };
    let ctx = context(layout);
    let open = query::open(&ctx).unwrap_or_default();
    let mut named: Vec<(String, String)> = open.iter().map(open_run).collect();
    let ended = record::all(&ctx.layout).unwrap_or_default().into_iter().rev().take(ENDED);
    for run in ended.filter(|run| open.iter().all(|row| row.run != *run)) {
        if let Ok(Some(record)) = record::read(&ctx.layout, &run) {
            let task = record.spec.short_id.as_deref().unwrap_or(record.spec.task_id.as_str());
            let help = format!("{} on {task}, ended", record.spec.worker);
            named.push((suffix(run.as_str()).to_owned(), help));
        }
    }
    let mut all = matching(current, named);
    all.extend(tasks(current));
    all
}

fn statuses(current: &OsStr) -> Vec<CompletionCandidate> {
    let config = layout().and_then(|layout| read_config(&layout).ok());
    let Some(config) = config else { return Vec::new() };
    let named = config.statuses().into_iter().map(|status| (status.to_owned(), String::new()));
    matching(current, named)
}

/// In any case, as the commands take them.
fn matching(
    current: &OsStr,
    named: impl IntoIterator<Item = (String, String)>,
) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str().map(str::to_lowercase) else { return Vec::new() };
    let fitting = named.into_iter().filter(|(name, _)| name.to_lowercase().starts_with(&current));
    let candidate = |(name, help): (String, String)| {
        let help = cut(&one_line(&help), HELP).into_owned();
        CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into()))
    };
    fitting.map(candidate).collect()
}

/// The parser calls a completer with nothing but the word, so the surroundings are read here once more.
#[expect(clippy::disallowed_methods, reason = "a completer is given no session")]
fn layout() -> Option<Layout> {
    let root = std::env::var_os("LATTICE_ROOT");
    Layout::discover(&std::env::current_dir().ok()?, root.as_deref()).ok()
}

fn context(layout: Layout) -> Context {
    Context { layout, shim: "lattice-shim".into(), caller_env: Vec::new(), own_run: None, depth: 0 }
}
