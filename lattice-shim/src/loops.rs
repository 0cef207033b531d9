//! The one loop in which a supervisor waits: for children, signals, the engine's output and the other supervisor.
//! Whatever it waits for, it hears a stop and keeps the engine's pipe empty.

use std::io::{self};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lattice::model::ids::RunId;
use lattice::model::mask::Mask;
use lattice::model::outcome::{Losses, Told};
use lattice::model::run::Spec;
use lattice::process::cgroup::Group;
use lattice::process::channel::{Channel, Received};
use lattice::process::inherit;
use lattice::process::monotonic::Moment;
use lattice::process::pump::LogPump;
use lattice::process::reap::{self, Usage};
use lattice::process::table;
use lattice::process::tree::{self, Plan, STILL_UNKILLABLE_AFTER, Swept, UNKILLABLE_AFTER};
use lattice::process::watch::{STOP_SIGNALS, Watch};
use lattice::runs::end::hands::Hands;
use lattice::runs::follow::{Follower, Source};
use lattice::runs::{allowance, spare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::beside::Beside;
use crate::messages::Message;

/// Grace of the sweep after an engine that has exited by itself, and of helpers that are late.
pub(crate) const SHORT_GRACE: Duration = Duration::from_secs(2);

/// Stops that come this close together are one.
const ECHO: Duration = Duration::from_millis(250);

/// A wait that is refused for so long is refused for good; in between it is asked for again.
const REFUSED: Duration = Duration::from_mins(1);
const UNTIL_ASKED_AGAIN: Duration = Duration::from_millis(100);

/// What a loop knows that outlives an `exec`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rest {
    umask: u32,
    group: Option<Group>,
    last_output: Moment,
    /// A SIGCHLD has not been looked into.
    child_ended: bool,
    source: Option<Source>,
    settled: Option<(u64, Moment)>,
    apart: Usage,
}

/// What a supervisor waits with.
pub(crate) struct Loop {
    pub(crate) run: RunId,
    /// What a person who watches is told, beside the other supervisor.
    pub(crate) narrate: fn(&Message),
    /// Ctrl-Z was pressed.
    pub(crate) asked_to_pause: fn(),
    /// The caller's, for what helpers make.
    pub(crate) umask: u32,
    watch: Watch,
    pub(crate) log: Option<LogPump>,
    /// What of the output is not in the log.
    pub(crate) losses: Losses,
    told_unwritten: u64,
    /// The other supervisor.
    pub(crate) peer: Option<Channel>,
    /// Signals that asked for a stop, in the order of arrival, and not taken yet.
    pub(crate) stops: Vec<Signal>,
    pub(crate) messages: Vec<Message>,
    pub(crate) peer_gone: bool,
    /// When the engine last printed something.
    pub(crate) last_output: Instant,
    last_stop: Option<Instant>,
    /// The engine's output, as far as it is understood.
    follower: Option<Follower>,
    /// Its number of records when it had told its result, and since when it is that one.
    settled: Option<(u64, Instant)>,
    /// Set by every SIGCHLD.
    child_ended: bool,
    /// How long a sweep waits for what SIGKILL should have ended.
    pub(crate) patience: Duration,
    /// The run's control group, which may be there.
    pub(crate) group: Option<Group>,
    /// While this is set, a stop or this file ends helpers before their time.
    pub(crate) interrupted_by: Option<PathBuf>,
    pub(crate) beside: Option<Beside>,
    /// What of the use of children is not the engine's.
    pub(crate) apart: Usage,
    /// Since when the system has refused every turn.
    refused_since: Option<Instant>,
}

impl Loop {
    pub(crate) fn new(spec: &Spec, peer: Option<Channel>) -> io::Result<Self> {
        let group = allowance::group(spec);
        Ok(Self { group, ..Self::before(spec.run_id.clone(), spec.umask, peer)? })
    }

    /// For what comes before there is a spec.
    pub(crate) fn before(run: RunId, umask: u32, peer: Option<Channel>) -> io::Result<Self> {
        let watch = Watch::install()?;
        Ok(Self {
            run,
            narrate: |_| {},
            asked_to_pause: || {},
            umask,
            watch,
            log: None,
            losses: Losses::default(),
            told_unwritten: 0,
            peer,
            stops: Vec::new(),
            messages: Vec::new(),
            peer_gone: false,
            last_output: Instant::now(),
            last_stop: None,
            follower: None,
            settled: None,
            child_ended: false,
            patience: UNKILLABLE_AFTER,
            group: None,
            interrupted_by: None,
            beside: None,
            apart: Usage::default(),
            refused_since: None,
        })
    }

    /// What has arrived until now was meant for those whose group this process has left.
    pub(crate) fn forget_signals(&mut self) -> io::Result<()> {
        self.watch.wait(&[], Some(Instant::now())).map(drop)
    }

    pub(crate) fn rest(&self) -> Rest {
        Rest {
            umask: self.umask,
            group: self.group.clone(),
            last_output: Moment::of(self.last_output),
            child_ended: self.child_ended,
            source: self.follower.as_ref().map(|follower| follower.source().clone()),
            settled: self.settled.map(|(records, since)| (records, Moment::of(since))),
            apart: self.apart,
        }
    }

    /// The loop of another image, which had come to rest.
    pub(crate) fn renewed(
        run: RunId,
        rest: Rest,
        peer: OwnedFd,
        log: Option<LogPump>,
    ) -> io::Result<Self> {
        let mut turns = Self::before(run, rest.umask, Some(Channel::new(peer)))?;
        turns.group = rest.group;
        turns.last_output = rest.last_output.instant();
        turns.settled = rest.settled.map(|(records, since)| (records, since.instant()));
        turns.child_ended = rest.child_ended;
        turns.apart = rest.apart;
        if let (Some(source), Some(file)) = (rest.source, log.as_ref().and_then(LogPump::at_rest)) {
            turns.follower = Follower::begin(source, file.try_clone()?);
        }
        turns.log = log;
        turns.read_on();
        Ok(turns)
    }

    /// From now on it waits for this run.
    pub(crate) fn belong_to(&mut self, spec: &Spec) {
        self.run = spec.run_id.clone();
        self.group = allowance::group(spec);
    }

    /// Sleeps once: until something happens or the deadline.
    pub(crate) fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let mut watched: Vec<BorrowedFd<'_>> = Vec::new();
        watched.extend(self.log.as_ref().filter(|log| !log.is_closed()).map(AsFd::as_fd));
        watched.extend(self.peer.as_ref().filter(|_| !self.peer_gone).map(AsFd::as_fd));
        let woken = self.watch.wait(&watched, deadline)?;
        self.child_ended |= woken.signals.contains(&Signal::SIGCHLD);
        if woken.signals.contains(&Signal::SIGTSTP) {
            (self.asked_to_pause)();
        }
        self.note_stops(&woken.signals);
        self.take_output()?;
        self.take_messages()
    }

    /// A turn of the wait for an engine. That the kernel has no memory for a moment, for poll(2) or recvmsg(2), is no
    /// reason to end the work of hours: it is one when nothing else is heard for a minute.
    pub(crate) fn patient_turn(&mut self, deadline: Instant) -> io::Result<()> {
        let Err(error) = self.turn(Some(deadline)) else {
            self.refused_since = None;
            return Ok(());
        };
        if self.refused_since.get_or_insert_with(Instant::now).elapsed() > REFUSED {
            return Err(error);
        }
        thread::sleep(UNTIL_ASKED_AGAIN);
        Ok(())
    }

    /// Whoever ends a session or a service tells both supervisors at once, and each tells the other: that is one stop.
    fn note_stops(&mut self, signals: &[Signal]) {
        let wanted: Vec<Signal> =
            signals.iter().copied().filter(|signal| STOP_SIGNALS.contains(signal)).collect();
        let both = self.peer.is_some() && !self.peer_gone;
        let echo = both && self.last_stop.is_some_and(|last| last.elapsed() < ECHO);
        if let Some(&first) = wanted.first().filter(|_| !echo) {
            self.stops.push(first);
            self.last_stop = Some(Instant::now());
        }
    }

    /// Everything that the engine has printed up to now.
    pub(crate) fn take_output(&mut self) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let moved = log.pump()?;
        self.losses = log.losses();
        if moved > 0 {
            self.last_output = Instant::now();
            self.read_on();
        }
        // The hole in the log speaks for itself. Told seldom: a peer that is stopped must not block us.
        if self.losses.unwritten / 2 > self.told_unwritten
            || self.losses.unwritten > 0 && self.told_unwritten == 0
        {
            self.told_unwritten = self.losses.unwritten;
            self.tell(&Message::Lost { unwritten: self.losses.unwritten });
        }
        Ok(())
    }

    /// The same, for one who ends what has printed it, or reads the log now.
    pub(crate) fn take_last_output(&mut self) -> io::Result<()> {
        self.take_output()?;
        if self.log.as_mut().is_some_and(|log| log.write_rest() > 0) {
            self.read_on();
        }
        Ok(())
    }

    /// From here on the log does not show these. Nothing that could be one of them has been printed yet.
    pub(crate) fn hide(&mut self, mask: &Mask) {
        self.log = self.log.take().map(|log| log.behind(mask.veil()));
    }

    /// Whether nothing is left that an `exec` would take from this image. If so all signals are blocked from here on.
    pub(crate) fn come_to_rest(&mut self) -> io::Result<bool> {
        inherit::block_signals()?;
        let turned = self.turn(Some(Instant::now()));
        let is_empty = self.stops.is_empty() && self.messages.is_empty();
        let at_rest = is_empty
            && self.beside.is_none()
            && self.peer.as_ref().is_some_and(Channel::is_empty)
            && self.log.as_ref().is_none_or(|log| log.at_rest().is_some());
        if turned.is_err() || !at_rest {
            Self::go_on()?;
        }
        turned.map(|()| at_rest)
    }

    /// Lets in what has been blocked.
    pub(crate) fn go_on() -> io::Result<()> {
        Watch::let_in()
    }

    pub(crate) fn follow(&mut self, follower: Option<Follower>) {
        self.follower = follower;
    }

    /// A log that cannot be read back now is read once more for the record.
    fn read_on(&mut self) {
        let Some(follower) = &mut self.follower else { return };
        if follower.catch_up().is_err() {
            self.follower = None;
            return;
        }
        match (follower.settled(), self.settled) {
            (None, _) => self.settled = None,
            (Some(records), Some((known, _))) if records == known => {}
            (Some(records), _) => self.settled = Some((records, Instant::now())),
        }
    }

    /// Since when the engine has had nothing to do but to exit.
    pub(crate) fn settled_since(&self) -> Option<Instant> {
        self.settled.map(|(_, since)| since)
    }

    /// Whether that is to wait for something that it has started.
    pub(crate) fn waits(&self) -> bool {
        self.follower.as_ref().is_some_and(Follower::waits)
    }

    /// Whatever it prints from here on changes nothing.
    pub(crate) fn told(&mut self) -> Option<Told> {
        self.follower.take().map(Follower::finish)
    }

    fn take_messages(&mut self) -> io::Result<()> {
        let Some(peer) = self.peer.as_mut().filter(|_| !self.peer_gone) else { return Ok(()) };
        loop {
            match peer.receive()? {
                Received::Line(line) => self.messages.extend(Message::parse(&line)),
                Received::Nothing => return Ok(()),
                Received::Closed => {
                    self.peer_gone = true;
                    return Ok(());
                }
            }
        }
    }

    /// What an engine has started and left becomes our child and, when it ends, our zombie. An agent that works for
    /// hours would fill the process table with them.
    pub(crate) fn reap_orphans(&mut self, leader: i32) {
        if std::mem::take(&mut self.child_ended) {
            let known = [Some(leader), self.beside()];
            for pid in table::children(Pid::this().as_raw())
                .into_iter()
                .filter(|&pid| !known.contains(&Some(pid)))
            {
                reap::collect(pid);
            }
        }
    }

    /// Tells the other supervisor; if it is dead there is nobody to tell, and this one goes on alone.
    pub(crate) fn tell(&self, message: &Message) {
        if let Some(peer) = &self.peer {
            drop(peer.send(&message.line()));
        }
    }

    /// The same, for a person too.
    pub(crate) fn announce(&self, message: &Message) {
        (self.narrate)(message);
        self.tell(message);
    }

    /// Ends everything below this process, the leader last. `Plan::grace` is cut short by a further stop.
    pub(crate) fn end_tree(&mut self, leader: Option<i32>, grace: Duration) -> io::Result<Swept> {
        let run = self.run.clone();
        let beside = self.beside();
        let spared = move |pid| Some(pid) == beside || spare::is_other_supervisor(&run, pid);
        let plan = Plan { leader, grace, patience: self.patience, spared: &spared };
        // The signal of a stop whose request was seen first is not a second stop.
        let before = self.stops.len().max(1);
        let swept = tree::end(&plan, &mut |time| {
            self.turn(Some(Instant::now() + time))?;
            Ok(self.stops.len() > before)
        })?;
        let swept = swept.and(self.end_group()?);
        self.note_survivors(&swept);
        Ok(swept)
    }

    /// Whoever is in the run's control group and was found by nothing else.
    pub(crate) fn end_group(&mut self) -> io::Result<Swept> {
        let Some(group) = self.group.clone() else { return Ok(Swept::default()) };
        group.end(self.patience, &mut |time| {
            self.turn(Some(Instant::now() + time))?;
            Ok(false)
        })
    }

    /// Whoever has outlived a minute of SIGKILL gets no further one: the record waits.
    pub(crate) fn note_survivors(&mut self, swept: &Swept) {
        if !swept.survivors.is_empty() {
            self.patience = STILL_UNKILLABLE_AFTER;
        }
    }
}

impl Hands for Loop {
    fn sweep(&mut self) -> io::Result<Swept> {
        let swept = self.end_tree(None, SHORT_GRACE)?;
        self.take_last_output()?;
        Ok(swept)
    }

    fn pause(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn(Some(until))?;
        }
        Ok(())
    }

    fn let_orphans_go(&mut self) -> io::Result<()> {
        inherit::adopt_orphans(false)
    }
}
