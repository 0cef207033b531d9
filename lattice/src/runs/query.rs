//! Looking at runs: which are open, which one a text means, and what is known of it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::context::Context;
use super::directory::RunDir;
use super::history;
use super::listing;
use super::record::{self, Record};
use crate::model::event::{Event, PROCESS_STARTED};
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::{RunId, TaskId};
use crate::model::outcome::EndedBy;
use crate::model::reduce::{OpenRun, Snapshot, open_runs};
use crate::model::run::{Engine, Spec, Supervisors};
use crate::model::time;
use crate::process::identity::{self, Presence};
use crate::storage::task;

/// What an open run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Others have all the slots that `workers.max_parallel` gives. Its time does not run yet.
    Waiting,
    /// Worktree and setup: the engine has not begun.
    Starting,
    Running,
    /// Its end is being written.
    Ending,
    /// Both supervisors are dead; the next reaper ends it.
    Dead,
    /// Open in the log, but of another machine, user or tool: nobody here can end it by itself.
    Unsupervised,
    Ended,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Dead => "dead",
            Self::Unsupervised => "unsupervised",
            Self::Ended => "ended",
        }
    }
}

/// An open run, as `ps` shows it.
#[derive(Debug, Clone)]
pub struct OpenRow {
    pub run: RunId,
    pub task: TaskId,
    pub short_id: Option<String>,
    pub title: String,
    pub archived: bool,
    pub worker: String,
    pub commit_sha: String,
    pub started_at: String,
    pub state: State,
    pub age: Option<Duration>,
    pub remaining: Option<Duration>,
    pub engine_pid: Option<i32>,
    pub supervisor_pid: Option<i32>,
    pub log_path: PathBuf,
    pub log_bytes: u64,
}

/// All open runs, oldest first. A run is open if its own task's log says so, whatever any snapshot says.
pub fn open(ctx: &Context) -> Result<Vec<OpenRow>> {
    open_among(ctx, &task::read_open_runs(&ctx.layout))
}

/// The same for those who know already which tasks may have open runs.
pub fn open_among(ctx: &Context, tasks: &[TaskId]) -> Result<Vec<OpenRow>> {
    let mut tasks: BTreeSet<TaskId> = tasks.iter().cloned().collect();
    let directories = listing::list(&ctx.layout.runs())?.runs;
    tasks.extend(directories.iter().filter_map(|run| Some(run.spec().ok()?.task_id)));
    let mut rows = Vec::new();
    for task in tasks {
        rows.extend(open_of(ctx, &task)?);
    }
    rows.sort_by(|one: &OpenRow, other| one.run.cmp(&other.run));
    Ok(rows)
}

/// The open runs of one task; none if it has no log here.
pub fn open_of(ctx: &Context, task: &TaskId) -> Result<Vec<OpenRow>> {
    match task::read_task(&ctx.layout, task) {
        Ok((events, snapshot, archived)) => Ok(open_in(ctx, task, &events, &snapshot, archived)),
        Err(failure) if failure.code() == Code::NotFound => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// The same for a task that has been read.
pub fn open_in(
    ctx: &Context,
    task: &TaskId,
    events: &[Event],
    snapshot: &Snapshot,
    archived: bool,
) -> Vec<OpenRow> {
    let of_task = |open| OpenRow {
        short_id: snapshot.short_id().map(str::to_owned),
        title: snapshot.title().to_owned(),
        archived,
        ..row(ctx, task, open)
    };
    open_runs(events).into_iter().map(of_task).collect()
}

fn row(ctx: &Context, task: &TaskId, open: OpenRun) -> OpenRow {
    let directory = RunDir::at(ctx.layout.run_dir(&open.run));
    let engine = directory.engine_identity();
    let age = age(&open.started_at);
    let state = state(&directory, engine.as_ref());
    let left = left(&open.event, state, engine.as_ref());
    let log_path = log_path(ctx, &open.event, &open.run);
    OpenRow {
        task: task.clone(),
        short_id: None,
        title: String::new(),
        archived: false,
        state,
        remaining: left,
        age,
        engine_pid: engine.map(|engine| engine.pid),
        supervisor_pid: directory.supervisors().map(|supervisors| supervisors.warden.pid),
        log_bytes: fs_err::metadata(&log_path).map_or(0, |metadata| metadata.len()),
        log_path,
        run: open.run,
        worker: open.process_type,
        commit_sha: open.commit_sha,
        started_at: open.started_at,
    }
}

/// What a run that is open in a log is doing.
pub fn state_of(ctx: &Context, run: &RunId) -> State {
    let directory = RunDir::at(ctx.layout.run_dir(run));
    state(&directory, directory.engine_identity().as_ref())
}

/// The commands of its setup belong to the start. An engine that is gone has nothing left but its end, however long
/// saving its work takes.
fn state(directory: &RunDir, engine: Option<&Engine>) -> State {
    if !directory.exists() || directory.is_closed() {
        return State::Unsupervised;
    }
    if !directory.is_held() {
        return State::Dead;
    }
    let engine = engine.filter(|engine| engine.output_from.is_some());
    match engine.map(|engine| identity::presence(&engine.identity())) {
        _ if directory.is_ending() => State::Ending,
        None if directory.is_waiting() => State::Waiting,
        None => State::Starting,
        Some(Presence::Gone) => State::Ending,
        Some(Presence::Alive | Presence::Invisible) => State::Running,
    }
}

fn age(started_at: &str) -> Option<Duration> {
    SystemTime::now().duration_since(time::parse(started_at)?).ok()
}

/// Its time runs from the beginning of its engine.
fn left(start: &Event, state: State, engine: Option<&Engine>) -> Option<Duration> {
    let of_engine = engine.filter(|engine| engine.output_from.is_some());
    match (state, of_engine.and_then(|engine| time::parse(&engine.deadline_at))) {
        (State::Waiting | State::Starting, _) => limit(start),
        (_, Some(deadline)) => Some(deadline.duration_since(SystemTime::now()).unwrap_or_default()),
        (_, None) => Some(limit(start)?.saturating_sub(age(start.ts())?)),
    }
}

fn limit(start: &Event) -> Option<Duration> {
    let minutes = start.data().get("timeout_minutes")?.as_f64()?;
    Duration::try_from_secs_f64(minutes * 60.0).ok()
}

pub(super) fn log_path(ctx: &Context, start: &Event, run: &RunId) -> PathBuf {
    match start.data().get("log_path").and_then(|path| path.as_str()) {
        Some(path) => ctx.layout.dir.join(path),
        None => ctx.layout.worker_logs().join(format!("{run}.log")),
    }
}

/// Everything that is known of a run, open or ended.
#[derive(Debug, Clone)]
pub struct View {
    pub run: RunId,
    pub task: TaskId,
    pub worker: String,
    pub state: State,
    pub started: Event,
    pub ended: Option<Event>,
    pub spec: Option<Spec>,
    pub supervisor: Option<Supervisors>,
    pub log_path: PathBuf,
    /// `None`: there is no log.
    pub log_bytes: Option<u64>,
}

pub fn view(ctx: &Context, run: &RunId) -> Result<View> {
    let directory = RunDir::at(ctx.layout.run_dir(run));
    // In this order: the record is there before the directory goes.
    let given = directory.spec().ok();
    let record = record::read(&ctx.layout, run)?;
    let spec = given.or_else(|| record.as_ref().map(|record| record.spec.clone()));
    let task = match &spec {
        Some(spec) => spec.task_id.clone(),
        None => task_of(ctx, run)?,
    };
    let events =
        task::read_task(&ctx.layout, &task).map(|(events, _, _)| events).unwrap_or_default();
    let started =
        events.iter().find(|event| event.kind() == PROCESS_STARTED && event.id() == run.as_str());
    let started = started.cloned().or_else(|| spec.as_ref().map(crate::model::terminal::started));
    let started = started.ok_or_else(|| not_found(run.as_str()))?;
    let ended = ended(&events, run).or_else(|| record.as_ref().and_then(Record::event));
    let engine = directory.engine_identity();
    let log_path = log_path(ctx, &started, run);
    Ok(View {
        worker: started
            .data()
            .get("process_type")
            .and_then(|name| name.as_str())
            .unwrap_or_default()
            .to_owned(),
        state: if ended.is_some() { State::Ended } else { state(&directory, engine.as_ref()) },
        supervisor: directory.supervisors().or_else(|| record.and_then(|record| record.supervisor)),
        log_bytes: fs_err::metadata(&log_path).ok().map(|metadata| metadata.len()),
        run: run.clone(),
        task,
        started,
        ended,
        spec,
        log_path,
    })
}

/// The terminal event of a run, from its task's log, else from its record.
pub fn terminal(ctx: &Context, run: &RunId, task: &TaskId) -> Result<Option<Event>> {
    let events = match task::read_task(&ctx.layout, task) {
        Ok((events, _, _)) => events,
        Err(failure) if failure.code() == Code::NotFound => Vec::new(),
        Err(failure) => return Err(failure),
    };
    match ended(&events, run) {
        Some(event) => Ok(Some(event)),
        None => Ok(record::read(&ctx.layout, run)?.and_then(|record| record.event())),
    }
}

/// Of two ends that a merge has brought together the first counts.
fn ended(events: &[Event], run: &RunId) -> Option<Event> {
    events.iter().find(|event| event.ended_run() == Some(run.as_str())).cloned()
}

pub fn ended_by(event: &Event) -> Option<EndedBy> {
    serde_json::from_value(event.data().get("ended_by")?.clone()).ok()
}

/// The run that a text means: a full ID, or at least four last characters of one, in any case.
pub fn find(ctx: &Context, text: &str) -> Result<RunId> {
    let mut known: BTreeMap<String, RunId> = BTreeMap::new();
    let runs = listing::list(&ctx.layout.runs())?.runs.into_iter().filter_map(|run| run.run_id());
    let unsupervised = open(ctx)?.into_iter().map(|row| row.run);
    for run in runs.chain(record::all(&ctx.layout)?).chain(unsupervised) {
        known.insert(run.as_str().to_ascii_uppercase(), run);
    }
    let wanted = text.to_ascii_uppercase();
    if let Some(run) = known.get(&wanted) {
        return Ok(run.clone());
    }
    if wanted.len() < 4 {
        let message = format!("{text:?} is too short to name a run");
        return Err(Failure::new(Code::InvalidId, message)
            .hint("give at least its 4 last characters, as `lattice worker ps --all` shows them"));
    }
    let mut matching: Vec<RunId> =
        known.into_iter().filter(|(name, _)| name.ends_with(&wanted)).map(|(_, run)| run).collect();
    if matching.is_empty() {
        // Its record was pruned, or it is another tool's.
        matching =
            history::matching(&ctx.layout, &wanted)?.into_iter().map(|(run, _)| run).collect();
    }
    match &matching[..] {
        [run] => Ok(run.clone()),
        [] => Err(not_found(text).hint("lattice worker ps --all")),
        _ => Err(ambiguous(text, &matching.iter().collect::<Vec<_>>())),
    }
}

/// The run that a text means where a task may stand for its run: its one open run, else, if `ended` may serve,
/// the newest. A caller inside a run never means its own.
pub fn find_of_task_or_run(ctx: &Context, text: &str, ended: bool) -> Result<RunId> {
    let task = match task::resolve_task(&ctx.layout, text) {
        Ok(task) => task,
        Err(no_task) => return find(ctx, text).map_err(|no_run| better(no_task, no_run)),
    };
    let mut open = open_of(ctx, &task)?;
    open.retain(|row| ctx.own_run.as_ref() != Some(&row.run));
    match &open[..] {
        [row] => return Ok(row.run.clone()),
        [] => {}
        several => {
            let runs: Vec<&RunId> = several.iter().map(|row| &row.run).collect();
            return Err(ambiguous(text, &runs).hint("name one of them: lattice worker ps"));
        }
    }
    let (events, _, _) = task::read_task(&ctx.layout, &task)?;
    let newest =
        events.iter().rev().filter(|event| event.kind() == PROCESS_STARTED).find_map(Event::run);
    if let Some(run) = newest.filter(|run| ended && ctx.own_run.as_ref() != Some(run)) {
        return Ok(run);
    }
    let message =
        if ended { format!("{text} has no run") } else { format!("{text} has no open run") };
    Err(Failure::new(Code::NotFound, message).hint("lattice worker ps --all"))
}

/// What to say of a text that is neither: that there is no such task, if it looks like the name of one.
fn better(no_task: Failure, no_run: Failure) -> Failure {
    match (no_task.code(), no_run.code()) {
        (Code::NotFound, Code::NotFound) => no_task,
        (_, Code::NotFound) => Failure::new(
            Code::NotFound,
            no_run.message().replacen("no run", "no run and no task", 1),
        )
        .hint("lattice worker ps --all, or lattice list"),
        _ => no_run,
    }
}

/// The task of a run, by what its supervisor was given, its record, or any log.
pub(super) fn task_of(ctx: &Context, run: &RunId) -> Result<TaskId> {
    // In this order: the record is there before the directory goes.
    let given = RunDir::at(ctx.layout.run_dir(run)).spec().ok();
    let recorded = || record::read(&ctx.layout, run).ok().flatten().map(|record| record.spec);
    if let Some(spec) = given.or_else(recorded) {
        return Ok(spec.task_id);
    }
    if let Some(row) = open(ctx)?.into_iter().find(|row| row.run == *run) {
        return Ok(row.task);
    }
    let known = history::matching(&ctx.layout, &run.as_str().to_ascii_uppercase())?;
    let task = known.into_iter().find(|(known, _)| known == run).map(|(_, task)| task);
    task.ok_or_else(|| not_found(run.as_str()))
}

pub(super) fn not_found(text: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no run {text}")).hint("lattice worker ps --all")
}

fn ambiguous(text: &str, runs: &[&RunId]) -> Failure {
    let names: Vec<&str> = runs.iter().map(|run| run.as_str()).collect();
    Failure::new(Code::AmbiguousRun, format!("{text} may mean {}", names.join(" or ")))
        .hint("give more of the ID")
        .detail("runs", names)
}
