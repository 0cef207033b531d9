//! The shim: makes the worktree, runs setup and engine, waits, and writes the end, whatever happens.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use lattice::model::event::Event;
use lattice::model::failure::{Failure, Result};
use lattice::model::outcome::{EndedBy, Exit, Facts, Reason, Survivors};
use lattice::process::pipe::LogPump;
use lattice::process::reap::{self, Child, Usage};
use lattice::process::tree::Swept;
use lattice::runs::end::sequence::{self, End};
use lattice::runs::end::{self};
use nix::sys::signal::Signal;

use crate::engine_env;
use crate::launch::{Gated, Job};
use crate::loops::Loop;
use crate::messages::Message;
use crate::seat::{self, Seat};
use crate::worktree;

/// A stop request whose signal never came is found at the next look.
const TICK: Duration = Duration::from_secs(5);

/// A checkout of a very big repository.
const WORKTREE_LIMIT: Duration = Duration::from_hours(1);

/// For what an engine that exited by itself has left behind.
const SWEEP_GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(directory: &Path) -> Result<()> {
    let (seat, mut warden) = seat::take(directory)?;
    drop(warden.receive_within(Duration::from_secs(10))?);
    let Ok([read, write]) = <[OwnedFd; 2]>::try_from(warden.take_descriptors()) else {
        return Err(Failure::internal("the warden sent no pipe"));
    };
    let mut turns = Loop::new(seat.id.clone(), Some(warden))?;
    seat.publish(true)?;
    fs_err::create_dir_all(seat.layout.worker_logs())?;
    turns.log = Some(LogPump::open(read, &seat.log())?);
    let mut shim =
        Shim { seat: &seat, turns, output: Some(write), begin: Instant::now(), dirty: None };
    let facts =
        catch_unwind(AssertUnwindSafe(|| shim.work())).unwrap_or_else(|panic| crashed(&*panic));
    shim.end(facts)
}

fn crashed(panic: &(dyn std::any::Any + Send)) -> Facts {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    Facts::new(Reason::Internal)
        .because(format!("a bug of lattice-shim: {}", text.unwrap_or("a panic")))
}

struct Shim<'a> {
    seat: &'a Seat,
    turns: Loop,
    /// The write end of the engine's pipe.
    output: Option<OwnedFd>,
    begin: Instant,
    dirty: Option<bool>,
}

/// How a job behind the gate came to its end.
enum Finished {
    Exited(Exit, Swept),
    /// We ended it, and why.
    Ended(Reason, Exit, Swept),
}

impl Shim<'_> {
    /// Everything up to the engine's end. Any way out of it is a set of facts.
    fn work(&mut self) -> Facts {
        let facts = self.prepare().and_then(|()| self.engine()).unwrap_or_else(|facts| facts);
        Facts {
            duration_seconds: Some(self.begin.elapsed().as_secs_f64()),
            dirty: self.dirty,
            stop_requested: self.stop_is_requested(),
            ..facts
        }
    }

    /// Hooks, worktree and setup; a stop cuts each of them short.
    fn prepare(&mut self) -> Result<(), Facts> {
        let spec = &self.seat.spec;
        self.turns.interrupted_by = Some(self.seat.run.stop_request());
        self.patience(WORKTREE_LIMIT, Reason::WorktreeFailed);
        self.announce();
        self.dirty = worktree::main_checkout_is_dirty(spec, &mut self.turns);
        if let Some(dirty) = self.dirty {
            self.turns.tell(&Message::Dirty { dirty });
        }
        let made = worktree::prepare(spec, &mut self.turns);
        self.refuse_if_stopped()?;
        made.map_err(|failure| Facts::new(Reason::WorktreeFailed).because(failure.to_string()))?;
        let deadline = Instant::now() + Duration::from_millis(spec.setup_timeout_ms);
        for command in &spec.setup {
            self.setup(command, deadline)?;
        }
        self.refuse_if_stopped()
    }

    fn announce(&mut self) {
        let started = fs_err::read(self.seat.run.started()).ok();
        if let Some(event) = started
            .and_then(|line| Event::parse(line.trim_ascii_end()))
            .filter(|_| self.seat.spec.record)
        {
            end::fire(&self.seat.layout, &event, &mut self.turns);
        }
    }

    fn setup(&mut self, command: &str, deadline: Instant) -> Result<(), Facts> {
        let argv = ["bash".to_owned(), "-c".to_owned(), command.to_owned()];
        let failed = |text: String| {
            Facts::new(Reason::SetupFailed).because(format!("setup `{command}` {text}"))
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        let leader = self.launch(&argv, limit, Reason::SetupFailed)?;
        match self.supervise(leader, limit, None) {
            Finished::Exited(Exit { code: Some(0), .. }, _) => Ok(()),
            Finished::Exited(exit, _) => {
                Err(Facts { exit, ..failed(format!("ended with {}", words(exit))) })
            }
            Finished::Ended(Reason::Stopped, exit, _) => Err(Facts { exit, ..self.stopped() }),
            Finished::Ended(_, exit, _) => {
                Err(Facts { exit, ..failed("took longer than setup_timeout_minutes".to_owned()) })
            }
        }
    }

    fn engine(&mut self) -> Result<Facts, Facts> {
        let spec = &self.seat.spec;
        let limit = Duration::from_millis(spec.timeout_ms);
        let before = reap::children_usage().ok();
        let leader = self.launch(&spec.argv, limit, Reason::TimedOut)?;
        let finished = self.supervise(leader, limit, spec.idle_ms.map(Duration::from_millis));
        let mut facts = match finished {
            Finished::Exited(exit, swept) => {
                with(Facts { exit, ..Facts::new(exit.reason()) }, swept)
            }
            Finished::Ended(Reason::Stopped, exit, swept) => {
                with(Facts { exit, ..self.stopped() }, swept)
            }
            Finished::Ended(reason, exit, swept) => {
                with(Facts { exit, ..Facts::new(reason) }, swept)
            }
        };
        if let (Some(before), Ok(after)) = (before, reap::children_usage()) {
            facts.cpu_seconds = Some(after.cpu_seconds - before.cpu_seconds);
            facts.max_rss_kb = peak(before, after);
        }
        Ok(facts)
    }

    /// Behind the gate first: its identity is durable, and nobody has ended or stopped the run meanwhile.
    fn launch(&mut self, argv: &[String], limit: Duration, then: Reason) -> Result<i32, Facts> {
        let Seat { run, spec, .. } = self.seat;
        let failed = |text: String| Facts::new(Reason::SpawnFailed).because(text);
        let output = self.output.as_ref().expect("the pipe is open until the engine has ended");
        let env = engine_env::of(spec, run);
        let job = Job { argv, env: &env, cwd: &spec.cwd, limit };
        let gated =
            Gated::start(self.seat, &job, output).map_err(|failure| failed(failure.to_string()))?;
        let pid = gated.pid();
        self.turns.turn(Some(Instant::now())).map_err(|error| failed(error.to_string()))?;
        self.refuse_if_stopped()?;
        if !run.exists() || fs_err::symlink_metadata(run.terminal()).is_ok() {
            return Err(failed(
                "the run was ended by somebody else before its engine began".to_owned(),
            ));
        }
        self.patience(limit + Duration::from_millis(spec.grace_ms), then);
        self.turns.tell(&Message::Engine { pid });
        match gated.open() {
            Ok(()) => Ok(pid),
            Err(error) => {
                reap_soon(&mut self.turns, pid);
                Err(failed(format!("failed to execute `{}`: {error}", argv[0])))
            }
        }
    }

    /// Until the leader has exited or must be ended. A leader that has exited decides, even if a stop came with it.
    fn supervise(&mut self, leader: i32, limit: Duration, idle: Option<Duration>) -> Finished {
        let deadline = Instant::now() + limit;
        self.turns.last_output = Instant::now();
        let reason = loop {
            if let Child::Exited(exit) = reap::peek(leader) {
                self.turns.tell(&Message::Exited { exit });
                return Finished::Exited(exit, self.clear(leader, SWEEP_GRACE));
            }
            let now = Instant::now();
            let idle_at = idle.map(|idle| self.turns.last_output + idle);
            if self.stop_wanted() {
                break Reason::Stopped;
            } else if now >= deadline {
                break Reason::TimedOut;
            } else if idle_at.is_some_and(|idle_at| now >= idle_at) {
                break Reason::Idle;
            }
            let next = idle_at.map_or(deadline, |idle_at| idle_at.min(deadline)).min(now + TICK);
            if self.turns.turn(Some(next)).is_err() {
                break Reason::Internal;
            }
        };
        self.turns.tell(&Message::Ending { reason });
        let swept = self.clear(leader, self.grace());
        let exit = match reap::collect(leader) {
            Child::Exited(exit) => exit,
            Child::Running | Child::Unknown => Exit::default(),
        };
        Finished::Ended(reason, exit, swept)
    }

    /// The whole tree, with its leader as an unreaped zombie until the others are gone.
    fn clear(&mut self, leader: i32, grace: Duration) -> Swept {
        let swept = self.turns.end_tree(Some(leader), grace).unwrap_or_default();
        reap::collect(leader);
        // The pipe is empty now, or held by a survivor: its end is not waited for.
        drop(self.turns.take_output());
        swept
    }

    fn grace(&self) -> Duration {
        let now = self.turns.stops.len() > 1 || request_says_now(self.seat);
        if now { Duration::ZERO } else { Duration::from_millis(self.seat.spec.grace_ms) }
    }

    /// The warden's one timer: this limit, and then the time that an end may take.
    fn patience(&self, limit: Duration, then: Reason) {
        self.turns.tell(&Message::patience(
            limit + Duration::from_millis(self.seat.spec.end_limit_ms),
            then,
        ));
    }

    fn stop_is_requested(&self) -> bool {
        fs_err::symlink_metadata(self.seat.run.stop_request()).is_ok()
    }

    fn stop_wanted(&self) -> bool {
        !self.turns.stops.is_empty() || self.stop_is_requested()
    }

    fn refuse_if_stopped(&self) -> Result<(), Facts> {
        if self.stop_wanted() { Err(self.stopped()) } else { Ok(()) }
    }

    /// A signal that no `worker stop` announced is named in the record.
    fn stopped(&self) -> Facts {
        let unannounced = self.turns.stops.first().filter(|_| !self.stop_is_requested());
        Facts {
            ended_by_signal: unannounced.copied().map(Signal::as_str),
            ..Facts::new(Reason::Stopped)
        }
    }

    /// From here on nothing is cut short: what the run has made is being saved.
    fn end(mut self, facts: Facts) -> Result<()> {
        self.output = None;
        self.turns.interrupted_by = None;
        self.patience(Duration::from_hours(1), facts.reason);
        self.turns.tell(&Message::Ending { reason: facts.reason });
        let mask = engine_env::mask(&self.seat.spec);
        let Seat { run, spec, layout, .. } = self.seat;
        let end = End { layout, run, spec, by: EndedBy::Shim, mask: Some(&mask) };
        sequence::run(&end, facts, &mut self.turns).map(drop)
    }
}

fn with(mut facts: Facts, swept: Swept) -> Facts {
    facts.swept = swept.ended.len();
    if !swept.survivors.is_empty() {
        facts.survivors = Survivors::Pids(swept.survivors);
    }
    facts
}

/// The kernel keeps one maximum for all children that were ever reaped: it is the engine's only if it grew.
fn peak(before: Usage, after: Usage) -> Option<u64> {
    (after.max_rss_kb > before.max_rss_kb).then_some(after.max_rss_kb)
}

/// The gate exits right after it has told the error.
fn reap_soon(turns: &mut Loop, pid: i32) {
    drop(turns.end_tree(Some(pid), Duration::ZERO));
    reap::collect(pid);
}

fn request_says_now(seat: &Seat) -> bool {
    let request: Option<serde_json::Value> =
        lattice::runs::directory::read_json(&seat.run.stop_request()).ok();
    request.is_some_and(|request| request["now"] == true)
}

fn words(exit: Exit) -> String {
    match exit {
        Exit { signal: Some(signal), .. } => format!("signal {signal}"),
        Exit { code, .. } => format!("exit status {}", code.unwrap_or_default()),
    }
}
