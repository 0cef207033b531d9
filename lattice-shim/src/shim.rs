//! The shim: makes the worktree, runs setup and engine, and writes the end, whatever happens.

use std::ops::ControlFlow::{self, Break, Continue};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use lattice::controls::{self, Control};
use lattice::model::event::Event;
use lattice::model::failure::{Failure, Result};
use lattice::model::mask::Mask;
use lattice::model::outcome::{EndedBy, Exit, Facts, Reason, Told};
use lattice::model::run::Spec;
use lattice::process::gauge::Gauge;
use lattice::process::monotonic::Moment;
use lattice::process::pump::LogPump;
use lattice::process::{inherit, oom::Toll};
use lattice::runs::directory::RunDir;
use lattice::runs::end;
use lattice::runs::end::sequence::{self, End, Ending};
use lattice::runs::follow::Follower;
use lattice::runs::pool::Checkout;
use lattice::runs::{allowance, secrets, writable};
use lattice::storage::owner;
use nix::sys::signal::Signal;

use crate::engine_env;
use crate::launch::{Gated, Job};
use crate::loops::Loop;
use crate::messages::Message;
use crate::renew;
use crate::seat::{self, Seat};
use crate::supervise::{Finished, SWEEP_GRACE, Vigil};
use crate::worktree;

const KILL: i32 = Signal::SIGKILL as i32;

/// A checkout of a very big repository.
pub(crate) const WORKTREE_LIMIT: Duration = Duration::from_hours(1);

/// Salvage of a very big worktree, and the retries of a log that is full or locked.
pub(crate) const END_LIMIT: Duration = Duration::from_hours(1);

#[inline(never)]
pub(crate) fn run(directory: &Path) -> Result<()> {
    let (seat, mut warden) = seat::take(directory)?;
    drop(warden.receive_within(Duration::from_secs(10))?);
    let Ok([read, write]) = <[OwnedFd; 2]>::try_from(warden.take_descriptors()) else {
        return Err(Failure::internal("the warden sent no pipe"));
    };
    let mut turns = Loop::new(&seat.spec, Some(warden))?;
    let equipped = equip(&seat, &mut turns, read);
    if let (_, Ending::Whole(leftover)) = from_start_to_end(&seat, turns, write, equipped)? {
        seat.free(leftover);
    }
    Ok(())
}

/// Worktree, setup, engine, end. `turns` pumps the pipe whose write end is `output`; where that could not be made
/// ready, there is only the end.
pub(crate) fn from_start_to_end(
    seat: &Seat,
    mut turns: Loop,
    output: OwnedFd,
    ready: Result<()>,
) -> Result<(Event, Ending)> {
    let mask = secrets::of(&seat.spec, &engine_env::callers());
    turns.hide(&mask);
    let shim = Shim {
        seat,
        turns,
        output,
        mask,
        begin: Moment::now(),
        checkout: None,
        dirty: None,
        engine: None,
        unbound: false,
        gauge: None,
        told: None,
        waited: None,
        renew_at: None,
    };
    shim.do_and_end(|shim| match ready {
        Ok(()) => shim.work(),
        Err(failure) => Facts::new(Reason::Internal).because(failure.to_string()),
    })
}

/// Without these no engine is started; the end is written all the same.
fn equip(seat: &Seat, turns: &mut Loop, read: OwnedFd) -> Result<()> {
    seat.publish(true)?;
    owner::make_dirs(&seat.layout.worker_logs(), 0o700)?;
    turns.log = Some(LogPump::open(read, &seat.log(), seat.spec.log_limit)?);
    Ok(())
}

fn crashed(panic: &(dyn std::any::Any + Send)) -> Facts {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    Facts::new(Reason::Internal)
        .because(format!("a bug of lattice-shim: {}", text.unwrap_or("a panic")))
}

pub(crate) struct Shim<'a> {
    pub(crate) seat: &'a Seat,
    pub(crate) turns: Loop,
    /// The write end of the engine's pipe.
    pub(crate) output: OwnedFd,
    /// What nobody is to read of what the run leaves.
    pub(crate) mask: Mask,
    pub(crate) begin: Moment,
    /// What git had made of the worktree, where it may go into the pool.
    pub(crate) checkout: Option<Checkout>,
    pub(crate) dirty: Option<bool>,
    /// Set when the engine itself has been let go, and not a setup command.
    pub(crate) engine: Option<i32>,
    pub(crate) unbound: bool,
    pub(crate) gauge: Option<Gauge>,
    /// When a wait that is not over by then is a long one.
    pub(crate) renew_at: Option<Instant>,
    /// What the engine had told when it was decided to end it in spite of its result.
    pub(crate) told: Option<Told>,
    /// For a slot.
    pub(crate) waited: Option<Duration>,
}

/// A step on the way to the engine: it goes on, or the run has ended and these are its facts.
pub(crate) type Step<T = ()> = ControlFlow<Facts, T>;

impl Shim<'_> {
    /// A run has its end whatever becomes of the work.
    pub(crate) fn do_and_end(
        mut self,
        work: impl FnOnce(&mut Self) -> Facts,
    ) -> Result<(Event, Ending)> {
        let facts = catch_unwind(AssertUnwindSafe(|| work(&mut self)))
            .unwrap_or_else(|panic| crashed(&*panic));
        let duration_seconds = Some(self.begin.elapsed().as_secs_f64());
        self.end(Facts { duration_seconds, ..facts })
    }

    /// Everything up to the engine's end. Any way out of it is a set of facts.
    fn work(&mut self) -> Facts {
        let facts = match self.prepare() {
            Continue(()) => self.run_engine(),
            Break(facts) => facts,
        };
        self.with_circumstances(facts)
    }

    pub(crate) fn with_circumstances(&self, facts: Facts) -> Facts {
        let stop_requested = self.stop_is_requested();
        let waited_seconds = self.waited.map(|waited| waited.as_secs_f64());
        let unbound = self.unbound;
        Facts { stop_requested, unbound, waited_seconds, ..facts }
    }

    /// Hooks, a slot, worktree and setup; a stop cuts each of them short.
    fn prepare(&mut self) -> Step {
        let spec: &Spec = &self.seat.spec;
        self.turns.interrupted_by = Some(self.seat.run.stop_request());
        self.patience(WORKTREE_LIMIT, Reason::WorktreeFailed);
        self.announce();
        self.ask_whether_dirty();
        self.wait_for_slot()?;
        let late = controls::is(Control::LateIntent);
        if late {
            let silent = Spec { worktree_path: None, ..spec.clone() };
            drop(seat::publish_durably(&silent, &self.seat.run.spec_file()));
        }
        let made = worktree::prepare(spec, &mut self.turns);
        if late {
            drop(seat::publish_durably(spec, &self.seat.run.spec_file()));
        }
        self.end_if_stopped()?;
        match made {
            Ok(checkout) => self.checkout = checkout,
            Err(failure) => {
                return Break(Facts::new(Reason::WorktreeFailed).because(failure.to_string()));
            }
        }
        self.learn_secrets();
        self.hold();
        let deadline = Instant::now() + Duration::from_millis(spec.setup_timeout_ms);
        for command in &spec.setup {
            self.setup(command, deadline)?;
        }
        self.end_if_stopped()
    }

    /// A hook may have fetched them a moment ago.
    fn learn_secrets(&mut self) {
        self.mask = std::mem::take(&mut self.mask).and(secrets::of_project(&self.seat.spec));
        self.turns.hide(&self.mask);
    }

    /// The hooks of `process_started`.
    fn announce(&mut self) {
        let line = fs_err::read(self.seat.run.started()).ok().filter(|_| self.seat.spec.record);
        if let Some(event) = line.and_then(|line| Event::parse(line.trim_ascii_end())) {
            // What a hook leaves behind is not the engine's: it goes to the warden, which leaves it alone.
            drop(inherit::adopt_orphans(false));
            end::fire(&self.seat.layout, &event, &mut self.turns);
            drop(inherit::adopt_orphans(true));
        }
    }

    fn setup(&mut self, command: &str, deadline: Instant) -> Step {
        let argv = ["bash".to_owned(), "-c".to_owned(), command.to_owned()];
        let failed = |exit, text: &str| {
            let facts =
                Facts::new(Reason::SetupFailed).because(format!("setup `{command}` {text}"));
            Break(Facts { exit, ..facts })
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        let leader = self.launch(&argv, limit, true)?;
        self.turns.last_output = Instant::now();
        let vigil = Vigil::new(leader, limit, &self.seat.spec);
        let Finished { exit, ended, swept: _ } = self.supervise(&vigil);
        if let Some(reason) = ended.or_else(|| self.met(exit))
            && let Some(sentence) = allowance::sentence(&self.seat.spec, reason)
        {
            let facts = Facts::new(reason).because(format!("setup `{command}`: {sentence}"));
            return Break(Facts { exit, ..facts });
        }
        match (ended, exit) {
            (None, Exit { code: Some(0), .. }) => Continue(()),
            (None, Exit { signal: Some(signal), .. }) => {
                failed(exit, &format!("was ended by signal {signal}"))
            }
            (None, Exit { code, .. }) => {
                failed(exit, &format!("exited {}", code.unwrap_or_default()))
            }
            (Some(Reason::Stopped), _) => Break(Facts { exit, ..self.stopped() }),
            (Some(_), _) => failed(exit, "ran longer than setup_timeout_minutes allows"),
        }
    }

    fn run_engine(&mut self) -> Facts {
        let spec = &self.seat.spec;
        let limit = Duration::from_millis(spec.timeout_ms);
        let before = self.turns.usage().ok();
        let toll = Toll::now();
        let leader = match self.launch(&spec.argv, limit, false) {
            Continue(leader) => leader,
            Break(facts) => return facts,
        };
        self.engine = Some(leader);
        self.turns.last_output = Instant::now();
        let engine = Vigil::new(leader, limit, spec);
        let vigil = Vigil { idle_ms: spec.idle_ms, before, toll, ..engine };
        // A debug run stays what its terminal has started.
        self.renew_at = (!self.seat.foreground).then(|| Instant::now() + renew::AFTER);
        self.see_out(&vigil)
    }

    /// Starts a process behind the gate, where its identity becomes durable, and lets it go.
    fn launch(&mut self, argv: &[String], limit: Duration, setup: bool) -> Step<i32> {
        let Seat { run, spec, .. } = self.seat;
        let env = engine_env::of(spec, run);
        let log = self.seat.log();
        let output_from = (!setup).then(|| fs_err::metadata(&log).map_or(0, |found| found.len()));
        let prompt = spec.prompt_path.as_deref().filter(|_| spec.prompt_on_stdin && !setup);
        let input = prompt.unwrap_or(Path::new("/dev/null"));
        let failed =
            |failure: Failure| Break(Facts::new(Reason::SpawnFailed).because(failure.to_string()));
        let writable = match writable::paths(spec, run) {
            Ok(writable) => writable,
            Err(failure) => return failed(failure),
        };
        let job = Job { argv, env: &env, cwd: &spec.cwd, input, writable, output_from, limit };
        let gated = match Gated::start(self.seat, &job, &self.output) {
            Ok(gated) => gated,
            Err(failure) => return failed(failure),
        };
        if let Some(from) = output_from {
            // Where this fails the log is read for the record.
            self.turns.follow(Follower::open(spec, &log, from).ok().flatten());
        }
        let pid = gated.pid();
        let admitted = self.turns.group.as_ref().map_or(Ok(()), |group| group.admit(pid));
        let opened = match admitted {
            Ok(()) => self.open(gated, &job, setup),
            Err(error) => {
                drop(gated);
                failed(error.into()).map_continue(|_: i32| ())
            }
        };
        if opened.is_break() {
            // Closed or failed, the gate exits by itself.
            self.clear(pid, None, SWEEP_GRACE);
        }
        opened.map_continue(|()| pid)
    }

    /// Only if nobody has ended or stopped the run meanwhile.
    fn open(&mut self, gated: Gated, job: &Job<'_>, setup: bool) -> Step {
        let Seat { run, spec, .. } = self.seat;
        let failed = |text: String| Break(Facts::new(Reason::SpawnFailed).because(text));
        if let Err(error) = self.turns.turn(Some(Instant::now())) {
            return failed(error.to_string());
        }
        self.end_if_stopped()?;
        ended_by_another(run)?;
        let then = if setup { Reason::SetupFailed } else { Reason::TimedOut };
        self.patience(job.limit + Duration::from_millis(spec.grace_ms), then);
        self.turns.announce(&Message::Engine { pid: gated.pid(), setup });
        match gated.open() {
            Ok(()) => {
                self.turns.tell(&Message::Opened);
                Continue(())
            }
            Err(error) => failed(format!("failed to execute `{}`: {error}", job.argv[0])),
        }
    }

    /// The warden's one timer: this limit, and then the time that an end may take.
    pub(crate) fn patience(&self, limit: Duration, then: Reason) {
        self.turns.tell(&Message::patience(
            limit + Duration::from_millis(self.seat.spec.end_limit_ms),
            then,
        ));
    }

    fn stop_is_requested(&self) -> bool {
        fs_err::symlink_metadata(self.seat.run.stop_request()).is_ok()
    }

    pub(crate) fn stop_is_wanted(&self) -> bool {
        !self.turns.stops.is_empty() || self.stop_is_requested()
    }

    pub(crate) fn end_if_stopped(&self) -> Step {
        if self.stop_is_wanted() { Break(self.stopped()) } else { Continue(()) }
    }

    /// A signal that no `worker stop` announced is named in the record.
    pub(crate) fn stopped(&self) -> Facts {
        let unannounced = self.turns.stops.first().filter(|_| !self.stop_is_requested());
        Facts {
            ended_by_signal: unannounced.copied().map(Signal::as_str),
            ..Facts::new(Reason::Stopped)
        }
    }

    /// From here on nothing is cut short: what the run has made is being saved.
    #[inline(never)]
    fn end(mut self, mut facts: Facts) -> Result<(Event, Ending)> {
        self.turns.interrupted_by = None;
        let limit = END_LIMIT + Duration::from_millis(self.seat.spec.end_limit_ms);
        self.turns.tell(&Message::patience(limit, facts.reason));
        self.turns.tell(&Message::Ending { reason: facts.reason, error: facts.error.clone() });
        self.settle_whether_dirty()?;
        facts.dirty = self.dirty;
        drop(self.output);
        // E0, also for ways out of `work` that have swept nothing: a closed gate, a panic.
        let swept = self.turns.end_tree(None, Duration::ZERO)?;
        swept.note_in(&mut facts);
        self.turns.take_last_output()?;
        facts.log_losses = self.turns.losses;
        let Seat { run, spec, layout, .. } = self.seat;
        let (mask, pool) = (Some(&self.mask), self.checkout.as_ref());
        let end = End { layout, run, spec, by: EndedBy::Shim, mask, pool };
        let ended = sequence::recorded(&end, facts, &mut self.turns)?;
        if matches!(ended.1, Ending::Whole(_)) {
            self.turns.tell(&Message::Over);
        }
        Ok(ended)
    }
}

/// Before its engine has begun: there is nothing left to do but the end.
pub(crate) fn ended_by_another(run: &RunDir) -> Step {
    if run.exists() && fs_err::symlink_metadata(run.terminal()).is_err() {
        return Continue(());
    }
    let error = "the run was ended by somebody else before its engine began";
    Break(Facts::new(Reason::SpawnFailed).because(error))
}

/// Its own, or as a shell hands on that of the program that it has run.
pub(crate) fn is_of_kill(exit: Exit) -> bool {
    exit.likely_signal() == Some(KILL)
}
