//! The warden: holds the life lock, watches the shim, and finishes the run if the shim is killed or stuck.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lattice::model::failure::{Code, Failure, Result};
use lattice::model::mask::{Mask, Veil};
use lattice::model::outcome::{EndedBy, Exit, Facts, Reason};
use lattice::process::channel::{self, Channel, Received};
use lattice::process::monotonic::Moment;
use lattice::process::oom::Toll;
use lattice::process::pipe;
use lattice::process::pump::LogPump;
use lattice::process::reap::{self, Child};
use lattice::process::watch::STOP_SIGNALS;
use lattice::process::{spawn, table, tree};
use lattice::runs::end::sequence::{self, End, Ending};
use lattice::runs::handover::{GO, Hello, VERSION};
use lattice::runs::{examine, reap as reaper, secrets};
use lattice::storage::replace;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::engine_env;
use crate::loops::{Loop, Rest};
use crate::messages::Message;
use crate::renew::{self, Later, Renewed};
use crate::seat::{self, Seat};

/// Before the shim has said anything: it only has to exec and read a file.
const FIRST_WORD: Duration = Duration::from_mins(1);

/// What a tree gets between TERM and KILL when its supervisor was killed: the record must not wait long.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);

const KILL: i32 = Signal::SIGKILL as i32;

const UNTIL_ANSWERED: Duration = Duration::from_hours(1);

#[inline(never)]
pub(crate) fn run(directory: &Path) -> Result<()> {
    let (seat, mut cli) = seat::take(directory)?;
    let ready = Loop::new(&seat.spec, None).and_then(|mut turns| {
        turns.forget_signals()?;
        Ok(turns)
    });
    let ready = ready.map_err(Failure::from);
    let ready = ready.and_then(|turns| seat.publish(false).map(|()| turns));
    let hello = Hello {
        version: VERSION.to_owned(),
        pid: nix::unistd::Pid::this().as_raw(),
        trouble: ready.as_ref().err().map(|failure| failure.message().to_owned()),
    };
    // A CLI that is gone already is found out by its silence.
    drop(cli.send(&serde_json::to_string(&hello).expect("a greeting has only string keys")));
    let turns = ready?;
    if !is_wanted(&seat, &mut cli)? {
        return Ok(reaper::remove(&seat.run)?);
    }
    // The caller may be reading until nobody holds its end any more.
    drop(cli);
    if let Some(Ending::Whole(leftover)) = Warden::start(&seat, turns)?.watch()? {
        seat.free(leftover);
    }
    Ok(())
}

/// The rest of a run, in a new image.
#[inline(never)]
pub(crate) fn go_on(directory: &Path) -> Result<()> {
    let mut renewed = renew::take::<(Known, Rest)>()?;
    let seat = seat::retake(directory, &mut renewed)?;
    if let Some(Ending::Whole(leftover)) = Warden::renewed(&seat, renewed)?.watch()? {
        seat.free(leftover);
    }
    Ok(())
}

/// "go" or "no"; if the CLI was killed before it could say either, the log knows what it had decided.
fn is_wanted(seat: &Seat, cli: &mut Channel) -> Result<bool> {
    loop {
        match cli.receive_within(UNTIL_ANSWERED)? {
            Received::Line(answer) => return Ok(answer == GO),
            Received::Nothing => {}
            Received::Closed => return has_begun(seat),
        }
    }
}

/// Where the log cannot be read this warden gives up, and leaves the directory to a reaper that can.
fn has_begun(seat: &Seat) -> Result<bool> {
    let Some(start) = examine::start_line(&seat.layout, &seat.spec)? else { return Ok(false) };
    // EEXIST: the CLI came that far. Any other failure leaves the log's line as the only proof, which is enough.
    drop(replace::publish_unsynced(&seat.run.started(), start.as_bytes()));
    Ok(true)
}

struct Warden<'a> {
    seat: &'a Seat,
    turns: Loop,
    pipe: OwnedFd,
    /// What the shim hides, too: known before an engine could have changed it.
    mask: Later<Mask>,
    known: Known,
    /// When a wait that is not over by then is a long one.
    renew_at: Option<Instant>,
}

/// What the warden knows of the shim and, from the shim, of the engine.
#[derive(Serialize, Deserialize)]
struct Known {
    begin: Moment,
    shim: i32,
    toll: Toll,
    deadline: Moment,
    /// The reason if the deadline passes in silence.
    then: Reason,
    /// The process that was let through the gate last, and whether it is a setup command.
    engine: Option<i32>,
    in_setup: bool,
    /// The gate is behind it: its exit is the program's own.
    opened: bool,
    ending: Option<Reason>,
    error: Option<String>,
    exit: Option<Exit>,
    dirty: Option<bool>,
    /// What runs beside the engine and is none of its processes.
    beside: Option<i32>,
    /// What the shim could not write of the engine's output.
    unwritten: u64,
    /// The shim has ended the run, and this process is not needed any more.
    over: bool,
}

impl<'a> Warden<'a> {
    fn start(seat: &'a Seat, mut turns: Loop) -> Result<Self> {
        let (read, write) = pipe::create()?;
        let (ours, theirs) = channel::pair()?;
        let mut command = spawn::own_role("shim");
        command.arg(seat.run.path());
        command
            .stdin(seat.life.lock.try_clone()?)
            .stdout(Stdio::from(theirs))
            .stderr(seat.life.ended.try_clone()?);
        let started = command.spawn();
        let shim =
            started.map_err(|error| Failure::new(Code::SpawnError, format!("no shim: {error}")))?;
        drop(command);
        let ours = Channel::new(ours);
        // A shim that is dead already is seen below; its run ends like that of any killed one.
        drop(ours.send_with("pipe", &[read.as_fd(), write.as_fd()]));
        turns.peer = Some(ours);
        Ok(Self {
            seat,
            turns,
            pipe: read,
            mask: renew::now(secrets::of(&seat.spec, &engine_env::callers())),
            known: Known {
                begin: Moment::now(),
                shim: shim.id().cast_signed(),
                toll: Toll::now(),
                deadline: Moment::now().after(FIRST_WORD),
                then: Reason::Internal,
                engine: None,
                in_setup: true,
                opened: false,
                ending: None,
                error: None,
                exit: None,
                dirty: None,
                beside: None,
                unwritten: 0,
                over: false,
            },
            renew_at: Some(Instant::now() + renew::AFTER),
        })
    }

    /// Not inlined: what it needs of the stack, the wait uses again.
    #[inline(never)]
    fn renewed(seat: &'a Seat, mut renewed: Renewed<(Known, Rest)>) -> Result<Self> {
        let (mask, peer, pipe) = (renewed.later()?, renewed.next()?, renewed.next()?);
        let (known, rest) = renewed.state;
        let turns = Loop::renewed(seat.id.clone(), rest, peer, None)?;
        Ok(Self { seat, turns, pipe, mask, known, renew_at: None })
    }

    /// `None`: the shim has ended the run. It exits when it has freed the disk, or was killed while it did.
    fn watch(mut self) -> Result<Option<Ending>> {
        let status = loop {
            if self.known.over {
                return Ok(None);
            }
            match reap::peek(self.known.shim) {
                Child::Running => {}
                Child::Exited(exit) => break exit,
                Child::Unknown => {
                    return Err(Failure::internal("the shim is not the warden's child"));
                }
            }
            if Moment::now() >= self.known.deadline {
                self.kill_stuck_shim()?;
            }
            self.renew_when_due()?;
            let deadline = self.known.deadline.instant();
            self.turns.patient_turn(self.renew_at.map_or(deadline, |due| due.min(deadline)))?;
            self.listen();
            self.forward();
        };
        self.listen();
        reap::collect(self.known.shim);
        let is_over = self.known.over || status.code == Some(0);
        if is_over { Ok(None) } else { self.finish(status).map(Some) }
    }

    /// Once, and not while there is something to be done.
    fn renew_when_due(&mut self) -> Result<()> {
        if self.renew_at.is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        self.renew_at = Some(Instant::now() + renew::AFTER);
        if self.turns.come_to_rest()? {
            self.renew_at = None;
            drop(self.renew());
            Loop::go_on()?;
        }
        Ok(())
    }

    fn renew(&self) -> io::Error {
        let Some(shim) = &self.turns.peer else { return io::ErrorKind::NotConnected.into() };
        let waiting = (&self.known, self.turns.rest());
        renew::renew("warden", self.seat, &self.mask, &waiting, &[shim.as_fd(), self.pipe.as_fd()])
    }

    fn listen(&mut self) {
        let known = &mut self.known;
        for message in std::mem::take(&mut self.turns.messages) {
            match message {
                Message::Patience { milliseconds, then } => {
                    known.deadline = Moment::now().after(Duration::from_millis(milliseconds));
                    known.then = then;
                }
                Message::Engine { pid, setup } => {
                    (known.engine, known.in_setup, known.opened) = (Some(pid), setup, false);
                }
                Message::Opened => known.opened = true,
                Message::Ending { reason, error } => {
                    (known.ending, known.error) = (Some(reason), error);
                }
                Message::Exited { exit } => known.exit = Some(exit),
                Message::Beside { pid } => known.beside = pid,
                Message::Dirty { dirty } => known.dirty = Some(dirty),
                Message::Lost { unwritten } => known.unwritten = unwritten,
                Message::Over => known.over = true,
            }
        }
    }

    /// `worker stop` has told the shim itself: a second signal would cut the grace short.
    fn forward(&mut self) {
        for signal in std::mem::take(&mut self.turns.stops) {
            if fs_err::symlink_metadata(self.seat.run.stop_request()).is_err() {
                // ESRCH: it is dead, and the loop is about to see that.
                drop(tree::send(self.known.shim, signal));
            }
        }
    }

    /// SIGKILL works on a stopped process too.
    fn kill_stuck_shim(&mut self) -> Result<()> {
        self.known.ending.get_or_insert(self.known.then);
        self.known.deadline = Moment::now().after(FIRST_WORD);
        Ok(tree::send(self.known.shim, Signal::SIGKILL)?)
    }

    /// It has got TERM when the shim died, and is not counted with what the engine has left.
    fn end_beside(&mut self) -> io::Result<()> {
        let child = self.known.beside.filter(|&pid| reap::peek(pid) != Child::Unknown);
        let Some(pid) = child else { return Ok(()) };
        self.turns.end_helper(pid)?;
        reap::collect(pid);
        Ok(())
    }

    /// The shim is dead, and its children are ours now.
    #[inline(never)]
    fn finish(mut self, shim: Exit) -> Result<Ending> {
        self.end_beside()?;
        let mask = self.mask.clone().and(secrets::of_project(&self.seat.spec));
        let log = LogPump::open(self.pipe, &self.seat.log(), self.seat.spec.log_limit).ok();
        // What the shim had read and not written is gone with it, and may end in the middle of a secret.
        let veil = mask.veil().map(Veil::in_the_middle);
        self.turns.log = log.map(|log| log.behind(veil));
        let engine = self.known.engine.filter(|&pid| reap::peek(pid) != Child::Unknown);
        let seen_before = engine.map(reap::peek);
        let unbound = engine.is_some_and(table::acts_as_another);
        let swept = self.turns.end_tree(engine, ORPHAN_GRACE)?;
        let exit = engine.map(reap::collect);
        self.turns.take_last_output()?;
        let stop_requested = fs_err::symlink_metadata(self.seat.run.stop_request()).is_ok();
        let mut facts = self.known.facts(shim, seen_before, exit, stop_requested);
        swept.note_in(&mut facts);
        facts.unbound = unbound;
        facts.log_losses = self.turns.losses;
        facts.log_losses.unwritten += self.known.unwritten;
        let Seat { run, spec, layout, .. } = self.seat;
        let end = End { layout, run, spec, by: EndedBy::Warden, mask: Some(&mask), pool: None };
        sequence::run(&end, facts, &mut self.turns)
    }
}

impl Known {
    /// What the shim had seen or decided counts. Else the engine's own exit, unless it is the SIGKILL that the
    /// kernel sent it for the shim's death: then how it would have ended is not known.
    fn facts(
        &self,
        shim: Exit,
        seen: Option<Child>,
        last: Option<Child>,
        stop_requested: bool,
    ) -> Facts {
        let own_exit = self.exit.or(match seen {
            Some(Child::Exited(exit)) if self.is_the_program() && exit.signal != Some(KILL) => {
                Some(exit)
            }
            _ => None,
        });
        let last = match last {
            Some(Child::Exited(exit)) => exit,
            _ => Exit::default(),
        };
        let killed = Exit { code: None, signal: Some(KILL) };
        let mut facts = match (self.ending, own_exit) {
            (Some(reason), exit) => Facts { exit: exit.unwrap_or(last), ..Facts::new(reason) },
            (None, Some(exit)) => Facts { exit, ..Facts::new(exit.reason()) },
            (None, None) if stop_requested => Facts { exit: killed, ..Facts::new(Reason::Stopped) },
            (None, None) => match (shim.code, stop_signal(shim)) {
                (Some(code), _) => Facts::new(Reason::Internal)
                    .because(format!("lattice-shim gave up with status {code}")),
                (None, Some(signal)) => {
                    Facts { ended_by_signal: Some(signal), ..Facts::new(Reason::Stopped) }
                }
                (None, None) if self.toll.has_grown() => Facts { exit: killed, ..by_oom_killer() },
                (None, None) => Facts { exit: killed, ..Facts::new(Reason::SupervisorKilled) },
            },
        };
        // Decided before the leader had exited: it had told its result, and that is what counts.
        facts.lingered = self.ending == Some(Reason::Exited) && self.exit.is_none();
        facts.error = facts.error.or_else(|| self.error.clone());
        facts.stop_requested = stop_requested;
        facts.duration_seconds = Some(self.begin.elapsed().as_secs_f64());
        facts.dirty = self.dirty;
        facts
    }

    fn is_the_program(&self) -> bool {
        self.opened && !self.in_setup
    }
}

fn by_oom_killer() -> Facts {
    Facts::new(Reason::OomKilled).because("the OOM killer ended its supervisor, and it with that")
}

/// Only before its handlers stood can such a signal have ended the shim: then nothing had been started.
fn stop_signal(shim: Exit) -> Option<&'static str> {
    let signal = Signal::try_from(shim.signal?).ok()?;
    STOP_SIGNALS.contains(&signal).then(|| signal.as_str())
}
