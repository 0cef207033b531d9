//! `lattice worker ps`

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};

use lattice::model::event::Event;
use lattice::model::failure::{Code, Failure, Result};
use lattice::model::ids::TaskId;
use lattice::process::pipe;
use lattice::runs::context::Context;
use lattice::runs::query::{self, OpenRow, State};
use lattice::runs::reap;
use lattice::runs::record::{self, Record};
use lattice::storage::task::{read_open_runs, read_task};

use crate::cli::job::{Job, Woken, is_in_foreground};
use crate::cli::out::Form;
use crate::cli::runs::{context, reap_among};
use crate::cli::session::Session;
use crate::cli::terminal::{Alternate, Size, stdout_size};
use crate::render::ps::{Row, table};
use crate::render::table::cut;
use crate::render::worker;

const LIMIT: usize = 50;

/// List the runs that are open
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lattice worker ps
  lattice worker ps --watch
  lattice worker ps --all --limit 5
  lattice worker ps --json | jq -r '.data[] | select(.remaining_seconds < 60) | .run'

States: waiting, for a slot (workers.max_parallel); starting, running, ending; dead: its supervisors are gone,
`lattice worker reap` says why it is still there; unsupervised: started elsewhere, by another user or by another
tool. AGE counts from the start, LEFT to the limit; of an ended run the last column says how it ended. COST is there
where an engine has told it.")]
pub(crate) struct PsArgs {
    /// Ended runs too, newest first
    #[arg(long)]
    all: bool,
    /// At most so many [default with --all: 50]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show the list anew every second; Ctrl-C ends that
    #[arg(long)]
    watch: bool,
}

const EVERY: Duration = Duration::from_secs(1);

pub(crate) fn ps(session: &Session, args: &PsArgs) -> Result<()> {
    let ctx = context(session, &session.layout()?);
    if args.watch {
        return watch(session, &ctx, args);
    }
    let tasks = read_open_runs(&ctx.layout);
    reap_among(session, &ctx, &tasks);
    let rows = rows(session, &ctx, args, &tasks)?;
    match session.out.form() {
        Form::Json => session.out.data(rows.iter().map(|row| as_json(row, args.all)).collect()),
        Form::Quiet => rows.iter().try_for_each(|row| session.out.line(&row.run)),
        Form::Human => {
            let width = stdout_size().map(|size| size.columns);
            lines(session, args, &rows, width).iter().try_for_each(|line| session.out.line(line))
        }
    }
}

fn lines(session: &Session, args: &PsArgs, rows: &[Row], width: Option<usize>) -> Vec<String> {
    match (rows, args.all) {
        ([], true) => vec!["No worker processes.".to_owned()],
        ([], false) => vec!["No active worker processes.".to_owned()],
        _ => table(rows, width, &session.clock(), session.out.paint),
    }
}

/// On a screen of its own, of which nothing stays but the last list.
fn watch(session: &Session, ctx: &Context, args: &PsArgs) -> Result<()> {
    if session.out.form() != Form::Human || stdout_size().is_none() {
        return Err(Failure::new(Code::Usage, "--watch needs a terminal to draw on")
            .hint("lattice worker ps, or lattice worker ps --json in a script"));
    }
    let interrupts = session.interrupts.watch()?;
    // It outlives the screen: a stop that comes last finds that given back.
    let job = Job::begin()?;
    let mut screen = None;
    let mut last = Vec::new();
    while !interrupts.interrupted() {
        let Some(size) = stdout_size() else { break };
        if is_in_foreground() {
            // What cannot be ended yet is told by its state; a warning would be drawn over.
            let tasks = read_open_runs(&ctx.layout);
            drop(reap::among(ctx, &tasks, reap::PATIENCE));
            last = lines(session, args, &rows(session, ctx, args, &tasks)?, Some(size.columns));
            let screen = match &screen {
                Some(screen) => screen,
                None => screen.insert(Alternate::enter(&session.out)?),
            };
            screen.show(&drawing(session, &last, size))?;
        }
        if job.wait(EVERY)? == Woken::Suspend {
            drop(screen.take());
            job.suspend()?;
        }
    }
    drop(screen);
    last.iter().try_for_each(|line| session.out.line(line))
}

/// As much of the list as fits, below the time.
fn drawing(session: &Session, list: &[String], size: Size) -> Vec<String> {
    let title = format!("{}  every second, Ctrl-C ends", session.clock().time_of_day());
    let mut lines = vec![cut(&title, size.columns).into_owned(), String::new()];
    lines.extend_from_slice(list);
    lines.truncate(size.rows);
    lines
}

/// `tasks`: those that may have open runs.
fn rows(session: &Session, ctx: &Context, args: &PsArgs, tasks: &[TaskId]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = query::open_among(ctx, tasks)?.iter().map(open_row).collect();
    let mut limit = args.limit.unwrap_or(usize::MAX);
    if args.all {
        limit = args.limit.unwrap_or(LIMIT);
        rows.reverse();
        rows.extend(ended_rows(session, ctx, &rows, limit)?);
        rows.sort_by(|one, other| other.run.cmp(&one.run));
    }
    rows.truncate(limit);
    Ok(rows)
}

fn open_row(open: &OpenRow) -> Row {
    Row {
        run: open.run.to_string(),
        task: open.task.to_string(),
        short_id: open.short_id.clone(),
        title: open.title.clone(),
        archived: open.archived,
        worker: open.worker.clone(),
        commit_sha: open.commit_sha.clone(),
        started_at: open.started_at.clone(),
        state: open.state,
        age: open.age,
        remaining: open.remaining,
        engine_pid: open.engine_pid,
        supervisor_pid: open.supervisor_pid,
        log_path: open.log_path.display().to_string(),
        log_bytes: open.log_bytes,
        last_line: last_line(&open.log_path),
        ended: None,
    }
}

/// The last line that says something. It may be there while the next one is only begun.
fn last_line(log: &Path) -> Option<String> {
    let tail = pipe::last_lines(log, 4096).ok()?;
    tail.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned)
}

/// The newest records of runs that are not open. A record that cannot be read is named and left out.
fn ended_rows(session: &Session, ctx: &Context, open: &[Row], limit: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for run in record::all(&ctx.layout)?.into_iter().rev().take(limit) {
        if open.iter().any(|row| row.run == run.as_str()) {
            continue;
        }
        match record::read(&ctx.layout, &run) {
            Ok(Some(record)) => rows.push(ended_row(ctx, record)),
            // It was pruned since.
            Ok(None) => {}
            Err(failure) => session.out.warn(failure),
        }
    }
    Ok(rows)
}

fn ended_row(ctx: &Context, record: Record) -> Row {
    let ended = record.event();
    let spec = record.spec;
    let task = read_task(&ctx.layout, &spec.task_id).ok();
    let log_path = ctx.layout.dir.join(&spec.log_path);
    Row {
        run: spec.run_id.to_string(),
        title: task.as_ref().map(|(_, task, _)| task.title().to_owned()).unwrap_or_default(),
        archived: task.is_some_and(|(_, _, archived)| archived),
        task: spec.task_id.to_string(),
        short_id: spec.short_id,
        worker: spec.worker,
        commit_sha: spec.commit_sha,
        started_at: spec.started_at,
        state: State::Ended,
        age: None,
        remaining: None,
        engine_pid: None,
        supervisor_pid: None,
        log_bytes: fs_err::metadata(&log_path).map_or(0, |metadata| metadata.len()),
        log_path: log_path.display().to_string(),
        last_line: None,
        ended,
    }
}

fn as_json(row: &Row, all: bool) -> Value {
    let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
    let ended = row.ended.as_ref();
    let mut map: Map<String, Value> = Map::new();
    let keys = [
        ("commit_sha", json!(row.commit_sha)),
        ("process_type", json!(row.worker)),
        ("short_id", json!(row.short_id)),
        ("started_at", json!(row.started_at)),
        ("started_event_id", json!(row.run)),
        ("task_id", json!(row.task)),
        ("title", json!(row.title)),
        ("run", json!(row.run)),
        ("state", json!(row.state.as_str())),
        ("age_seconds", json!(seconds(row.age))),
        ("remaining_seconds", json!(seconds(row.remaining))),
        ("engine_pid", json!(row.engine_pid)),
        ("supervisor_pid", json!(row.supervisor_pid)),
        ("log_path", json!(row.log_path)),
        ("log_bytes", json!(row.log_bytes)),
        ("archived", json!(row.archived)),
    ];
    map.extend(keys.map(|(key, value)| (key.to_owned(), value)));
    if all {
        map.insert("outcome".to_owned(), json!(ended.map(worker::outcome_word)));
        map.insert("reason".to_owned(), json!(ended.and_then(|event| event.data().get("reason"))));
        map.insert("ended_at".to_owned(), json!(ended.map(Event::ts)));
    }
    Value::Object(map)
}
