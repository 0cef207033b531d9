//! `workers.max_parallel`: how many runs of a project are at work at once, in total and of one engine.
//!
//! A run's slot is its life lock: who dies has none, whatever else happens, and a limit may change at any time. It
//! counts from its entry to its `terminal.json`. Entries are made one after the other, under a lock of their own, so
//! that of runs that start in the same moment each sees those before it. With limits a run directory is made with the
//! file `waiting` in it; the entry removes that, and until then the run has no slot.
//!
//! There is no queue: whoever waits looks again when one that was in its way has gone, in no order. A debug run, which
//! somebody watches, has a slot and is not limited.

use std::time::Duration;

use super::context::Context;
use super::directory::RunDir;
use super::listing;
use super::start::undisturbed;
use crate::model::config::{Config, WhenFull};
use crate::model::definition::EngineKind;
use crate::model::failure::{Code, Failure, Result};
use crate::model::ids::RunId;
use crate::model::run::Spec;
use crate::storage::layout::Layout;
use crate::storage::{lock, task};

/// The key of the lock under which runs enter. Its holder only looks at life locks, and waits for nothing.
const KEY: &str = "runs";

/// So many holders are named, and then how many more there are.
const NAMED: usize = 3;

/// What one run has to keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    pub total: Option<u64>,
    pub engine: EngineKind,
    pub of_engine: Option<u64>,
    pub when_full: WhenFull,
    /// Its caller is a run that waits for its end, perhaps in the very slot that it would wait for.
    pub awaited_inside: bool,
}

/// The runs that have all the slots there are.
#[derive(Debug, Clone)]
pub struct Full {
    holders: Vec<RunDir>,
    most: u64,
    /// The limit, as `config.json` has it.
    key: String,
}

impl Slots {
    pub fn of(config: &Config, engine: EngineKind) -> Self {
        let workers = config.workers();
        Self {
            total: workers.max_parallel.total,
            of_engine: workers.max_parallel.of(engine),
            engine,
            when_full: workers.when_full,
            awaited_inside: false,
        }
    }

    /// As the configuration is now.
    pub fn now(layout: &Layout, spec: &Spec) -> Result<Self> {
        let engine = EngineKind::parse(&spec.engine).unwrap_or(EngineKind::Script);
        Ok(Self::of(&task::read_config(layout)?, engine))
    }

    /// As the caller wants it, who may be going to wait for the end.
    #[must_use]
    pub fn chosen(self, ctx: &Context, when_full: Option<WhenFull>, awaited: bool) -> Self {
        Self {
            when_full: when_full.unwrap_or(self.when_full),
            awaited_inside: awaited && ctx.own_run.is_some(),
            ..self
        }
    }

    pub fn are_limited(&self) -> bool {
        self.total.is_some() || self.of_engine.is_some()
    }

    /// Before anything is made. In the next moment it may be otherwise: what counts is the entry.
    pub(super) fn refuse_when_full(&self, ctx: &Context) -> Result<Option<Full>> {
        match self.full(&ctx.layout, None)? {
            Some(full) if !self.may_wait() => Err(self.refusal(&full)),
            full => Ok(full),
        }
    }

    /// The entry of a run that is about to start, or its refusal, or those that it will have to wait for.
    pub(super) fn enter_or_refuse(&self, ctx: &Context, run: &RunDir) -> Result<Option<Full>> {
        if !self.are_limited() {
            return Ok(None);
        }
        // Whoever is stopped in here keeps all others out.
        let _undisturbed = undisturbed()?;
        match self.enter(&ctx.layout, run, lock::PATIENCE)? {
            Some(full) if !self.may_wait() => Err(self.refusal(&full)),
            full => Ok(full),
        }
    }

    /// Gives the run a slot, unless others have them all.
    pub fn enter(&self, layout: &Layout, run: &RunDir, patience: Duration) -> Result<Option<Full>> {
        let _alone = lock::acquire_within(layout, &[KEY.to_owned()], patience)?;
        let full = self.full(layout, run.run_id().as_ref())?;
        if full.is_none() {
            run.stop_waiting()?;
        }
        Ok(full)
    }

    fn full(&self, layout: &Layout, own: Option<&RunId>) -> Result<Option<Full>> {
        if !self.are_limited() {
            return Ok(None);
        }
        let mut holders = at_work(layout)?;
        holders.retain(|run| run.run_id().as_ref() != own);
        if let Some(most) = self.total.filter(|&most| count(&holders) >= most) {
            return Ok(Some(Full { holders, most, key: "workers.max_parallel".to_owned() }));
        }
        let Some(most) = self.of_engine else { return Ok(None) };
        holders.retain(|run| is_of(run, self.engine));
        let key = format!("workers.max_parallel.{}", self.engine.name());
        Ok((count(&holders) >= most).then_some(Full { holders, most, key }))
    }

    fn may_wait(&self) -> bool {
        self.when_full == WhenFull::Wait && !self.awaited_inside
    }

    fn refusal(&self, full: &Full) -> Failure {
        let runs: Vec<_> = full.holders.iter().filter_map(RunDir::run_id).collect();
        let one = runs.first().map_or("RUN", RunId::as_str);
        let wait = match self.when_full {
            WhenFull::Wait => "from inside of a run it may only wait without --wait and --follow",
            WhenFull::Refuse => "with --when-full wait it begins when one of them has ended",
        };
        let runs: Vec<&str> = runs.iter().map(RunId::as_str).collect();
        Failure::new(Code::AlreadyRunning, full.to_string())
            .hint(format!("lattice worker wait {one}, or lattice worker stop {one}; {wait}"))
            .detail("runs", runs)
    }

    /// For people: the limits, and what becomes of one more.
    pub fn text(&self) -> String {
        let runs = |most: u64| if most == 1 { "1 run".to_owned() } else { format!("{most} runs") };
        let engine = self.engine.name();
        let limits = match (self.total, self.of_engine) {
            (Some(total), None) => runs(total),
            (Some(total), Some(own)) => format!("{}, {own} of {engine},", runs(total)),
            (None, Some(own)) => format!("{} of {engine}", runs(own)),
            (None, None) => return "as many runs as are started".to_owned(),
        };
        let more = if self.awaited_inside { WhenFull::Refuse } else { self.when_full };
        format!("at most {limits} at once; one more {}", more.fate())
    }
}

impl Full {
    /// Whether they still have them: cheap, for one who looks often.
    pub fn is_so_still(&self) -> bool {
        count(self.holders.iter().filter(|run| is_at_work(run))) >= self.most
    }
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.holders.len();
        let are = if number == 1 { "run is" } else { "runs are" };
        let (key, most) = (&self.key, self.most);
        write!(f, "{number} {are} at work, and {key} in config.json allows {most}: ")?;
        let named: Vec<String> = self.holders.iter().take(NAMED).map(name).collect();
        f.write_str(&named.join(", "))?;
        match number.saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

fn name(run: &RunDir) -> String {
    let id = run.run_id().map(|id| id.to_string()).unwrap_or_default();
    match run.spec() {
        Ok(spec) => format!("{} on {} as {id}", spec.worker, super::start::display(&spec)),
        Err(_) => id,
    }
}

/// Every run that has a slot.
pub(super) fn at_work(layout: &Layout) -> Result<Vec<RunDir>> {
    let mut runs = listing::list(&layout.runs())?.runs;
    runs.retain(is_at_work);
    Ok(runs)
}

/// Another user's that cannot be looked at counts: nothing says that it is dead.
fn is_at_work(run: &RunDir) -> bool {
    !run.is_waiting() && !run.is_ending() && run.is_held()
}

pub(super) fn is_of(run: &RunDir, engine: EngineKind) -> bool {
    run.spec().is_ok_and(|spec| spec.engine == engine.name())
}

pub(super) fn count(runs: impl IntoIterator) -> u64 {
    runs.into_iter().map(|_| 1).sum()
}
