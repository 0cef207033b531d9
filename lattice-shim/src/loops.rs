//! The one loop in which a supervisor waits: for children, signals, the engine's output and the other supervisor.
//! Whatever it waits for, it hears a stop and keeps the engine's pipe empty.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lattice::model::ids::RunId;
use lattice::model::outcome::Exit;
use lattice::model::run::Spec;
use lattice::process::channel::{Channel, Received};
use lattice::process::helper::{HelperOutput, Helpers, scratch_file};
use lattice::process::inherit;
use lattice::process::pipe::LogPump;
use lattice::process::reap::{self, Child as State};
use lattice::process::spawn;
use lattice::process::table;
use lattice::process::tree::{self, Plan, Swept};
use lattice::process::watch::{STOP_SIGNALS, Watch};
use lattice::runs::context::COOKIE;
use lattice::runs::end::hands::Hands;
use lattice::runs::spare;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::messages::Message;

/// Grace of the sweep after an engine that has exited by itself, and of helpers that are late.
const SHORT_GRACE: Duration = Duration::from_secs(2);

/// What a supervisor waits with.
pub(crate) struct Loop {
    run: RunId,
    /// What a person who watches is told, beside the other supervisor.
    pub(crate) narrate: fn(&Message),
    /// The caller's, for what helpers make.
    umask: u32,
    watch: Watch,
    pub(crate) log: Option<LogPump>,
    /// The other supervisor.
    pub(crate) peer: Option<Channel>,
    /// Signals that asked for a stop, in the order of arrival, and not taken yet.
    pub(crate) stops: Vec<Signal>,
    pub(crate) messages: Vec<Message>,
    pub(crate) peer_gone: bool,
    /// When the engine last printed something.
    pub(crate) last_output: Instant,
    /// Set by every SIGCHLD.
    child_ended: bool,
    /// While this is set, a stop or this file ends helpers before their time.
    pub(crate) interrupted_by: Option<PathBuf>,
}

impl Loop {
    pub(crate) fn new(spec: &Spec, peer: Option<Channel>) -> io::Result<Self> {
        Self::before(spec.run_id.clone(), spec.umask, peer)
    }

    /// For what comes before there is a spec.
    pub(crate) fn before(run: RunId, umask: u32, peer: Option<Channel>) -> io::Result<Self> {
        let watch = Watch::install()?;
        Ok(Self {
            run,
            narrate: |_| {},
            umask,
            watch,
            log: None,
            peer,
            stops: Vec::new(),
            messages: Vec::new(),
            peer_gone: false,
            last_output: Instant::now(),
            child_ended: false,
            interrupted_by: None,
        })
    }

    /// From now on it waits for this run.
    pub(crate) fn belong_to(&mut self, run: &RunId) {
        self.run = run.clone();
    }

    /// Sleeps once: until something happens or the deadline.
    pub(crate) fn turn(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let mut watched: Vec<BorrowedFd<'_>> = Vec::new();
        watched.extend(self.log.as_ref().filter(|log| !log.is_closed()).map(AsFd::as_fd));
        watched.extend(self.peer.as_ref().filter(|_| !self.peer_gone).map(AsFd::as_fd));
        let woken = self.watch.wait(&watched, deadline)?;
        self.child_ended |= woken.signals.contains(&Signal::SIGCHLD);
        self.stops.extend(woken.signals.into_iter().filter(|signal| STOP_SIGNALS.contains(signal)));
        self.take_output()?;
        self.take_messages()
    }

    /// Everything that the engine has printed up to now.
    pub(crate) fn take_output(&mut self) -> io::Result<()> {
        if let Some(log) = &mut self.log
            && log.pump()? > 0
        {
            self.last_output = Instant::now();
        }
        Ok(())
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
            for pid in
                table::children(Pid::this().as_raw()).into_iter().filter(|&pid| pid != leader)
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
        let spared = move |pid| spare::is_other_supervisor(&run, pid);
        let plan = Plan { leader, grace, spared: &spared };
        let before = self.stops.len();
        tree::end(&plan, &mut |time| {
            self.turn(Some(Instant::now() + time))?;
            Ok(self.stops.len() > before)
        })
    }

    /// Whether the helper came to its end within its limit and without being interrupted.
    fn wait_for_helper(&mut self, child: &Child, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && !self.is_interrupted() {
            if self.wait_at_most(child, Duration::ZERO)? {
                return Ok(true);
            }
            self.turn(Some(deadline))?;
        }
        self.wait_at_most(child, Duration::ZERO)
    }

    fn wait_at_most(&mut self, child: &Child, limit: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        let pid = child.id().cast_signed();
        while reap::peek(pid) == State::Running {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.turn(Some(deadline))?;
        }
        Ok(true)
    }

    /// The same command as a child that gets TERM when we die, in a group of its own, marked as this run's.
    fn through_helper_role(&self, command: &Command) -> Command {
        let mut helper = spawn::own_role("helper");
        helper
            .args([Pid::this().to_string(), self.umask.to_string()])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => helper.env(name, value),
                None => helper.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            helper.current_dir(directory);
        }
        helper.env(COOKIE, self.run.as_str()).process_group(0);
        helper
    }

    fn is_interrupted(&self) -> bool {
        let Some(request) = &self.interrupted_by else { return false };
        !self.stops.is_empty() || fs_err::symlink_metadata(request).is_ok()
    }

    /// TERM first: on KILL git would leave its lock files. Then KILL in any case: the group may hold more than its
    /// leader, whose zombie keeps the number ours until it is collected.
    fn end_helper(&mut self, child: &Child) -> io::Result<()> {
        let group = Pid::from_raw(child.id().cast_signed());
        let _gone = killpg(group, Signal::SIGTERM);
        self.wait_at_most(child, SHORT_GRACE)?;
        let _gone = killpg(group, Signal::SIGKILL);
        self.wait_at_most(child, SHORT_GRACE).map(drop)
    }
}

impl Helpers for Loop {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let (mut stdout, mut stderr) = (scratch_file()?, scratch_file()?);
        let mut command = self.through_helper_role(&command);
        if let Some(bytes) = stdin {
            let mut file = scratch_file()?;
            file.write_all(&bytes)?;
            file.seek(SeekFrom::Start(0))?;
            command.stdin(Stdio::from(file));
        }
        command.stdout(Stdio::from(stdout.try_clone()?)).stderr(Stdio::from(stderr.try_clone()?));
        let child = command.spawn()?;
        let in_time = self.wait_for_helper(&child, limit)?;
        if !in_time {
            self.end_helper(&child)?;
        }
        let exit = match reap::collect(child.id().cast_signed()) {
            State::Exited(exit) => exit,
            State::Running | State::Unknown => Exit::default(),
        };
        Ok(HelperOutput {
            code: exit.code,
            signal: exit.signal,
            timed_out: !in_time,
            stdout: contents(&mut stdout)?,
            stderr: contents(&mut stderr)?,
        })
    }
}

fn contents(file: &mut std::fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Hands for Loop {
    fn sweep(&mut self) -> io::Result<Swept> {
        let swept = self.end_tree(None, SHORT_GRACE)?;
        self.take_output()?;
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
