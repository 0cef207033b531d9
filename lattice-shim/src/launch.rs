//! Starting a process behind the gate: its identity is on disk before its first instruction.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use lattice::controls::{self, Control};
use lattice::model::failure::{Failure, Result};
use lattice::model::run::Engine;
use lattice::model::time;
use lattice::process::{channel, identity, pipe, spawn};
use lattice::runs::allowance;
use nix::unistd::Pid;

use crate::gate;
use crate::seat::{self, Seat};

/// An exec answers at once; only a program on a hung file system does not.
const EXEC_ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What is to be run, and for how long.
pub(crate) struct Job<'a> {
    pub(crate) argv: &'a [String],
    pub(crate) env: &'a [(OsString, OsString)],
    pub(crate) cwd: &'a Path,
    /// The file that it reads as standard input.
    pub(crate) input: &'a Path,
    /// Where it may write; `None`: everywhere.
    pub(crate) writable: Option<Vec<PathBuf>>,
    /// The length of the log, if it is the engine and not a setup command.
    pub(crate) output_from: Option<u64>,
    pub(crate) limit: Duration,
}

/// A child that waits behind the gate.
pub(crate) struct Gated {
    child: Child,
    socket: UnixStream,
}

impl Gated {
    /// Starts the child and makes its identity durable. Dropped unopened, the child exits by itself.
    pub(crate) fn start(seat: &Seat, job: &Job<'_>, output: &OwnedFd) -> Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let mut command = spawn::own_role(if seat.foreground { "gate-apart" } else { "gate" });
        command.arg(Pid::this().to_string()).arg(seat.spec.umask.to_string());
        command.arg(allowance::each(&seat.spec.limits, seat.spec.nice).to_string());
        command.arg(job.input);
        match &job.writable {
            None => command.arg(gate::UNCONFINED),
            Some(places) => command.arg(places.len().to_string()).args(places),
        };
        command.args(job.argv);
        command
            .env_clear()
            .envs(job.env.iter().map(|(name, value)| (name, value)))
            .current_dir(job.cwd);
        command.stdin(Stdio::from(theirs)).stdout(output.try_clone()?).stderr(output.try_clone()?);
        if !seat.foreground {
            // setsid(2) is refused to the leader of a group.
            command.process_group(0);
        }
        let leaked = if controls::is(Control::LeakedLock) { Some(leak(seat)?) } else { None };
        let child = command.spawn().map_err(|error| in_directory(&error, job))?;
        drop(leaked);
        // The child's end is the child's alone from here on.
        drop(command);
        let mut gated = Self { child, socket: UnixStream::from(ours) };
        gated.wait_until_ready()?;
        gated.publish(seat, job, output)?;
        Ok(gated)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// A gate that cannot become the program must not be taken for one that has.
    fn wait_until_ready(&mut self) -> Result<()> {
        let mut byte = [0];
        self.socket.set_read_timeout(Some(EXEC_ANSWERS_WITHIN))?;
        let read = self.socket.read_exact(&mut byte);
        read.map_err(|error| Failure::io("the gate ended before it was ready", error))?;
        if byte == [gate::READY] {
            Ok(())
        } else {
            Err(Failure::internal("the gate said nonsense"))
        }
    }

    fn publish(&self, seat: &Seat, job: &Job<'_>, output: &OwnedFd) -> Result<()> {
        let identity = identity::of(self.pid())
            .ok_or_else(|| Failure::internal("the engine has no identity"))?;
        let deadline = time::timestamp(SystemTime::now() + job.limit);
        let engine = Engine {
            output_from: job.output_from,
            ..Engine::new(identity, pipe::inode(output)?, deadline)
        };
        seat::publish_durably(&engine, &seat.run.engine())
    }

    /// Lets the child become the program. The error is the exec's own.
    pub(crate) fn open(mut self) -> io::Result<()> {
        self.socket.write_all(&[gate::OPEN])?;
        self.socket.set_read_timeout(Some(EXEC_ANSWERS_WITHIN))?;
        let mut number = [0; 4];
        match self.socket.read_exact(&mut number) {
            Ok(()) => Err(refusal(i32::from_le_bytes(number))),
            // Closed by the exec; or not yet, and then it is the run's own time that passes.
            Err(_) => Ok(()),
        }
    }
}

fn refusal(number: i32) -> io::Error {
    if number == gate::NO_SANDBOX {
        return io::Error::other("its sandbox cannot be made, see its log");
    }
    io::Error::from_raw_os_error(number)
}

/// The life lock, open over the exec that comes.
fn leak(seat: &Seat) -> io::Result<File> {
    let leaked = seat.life.lock.try_clone()?;
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty())?;
    Ok(leaked)
}

/// ENOENT of a spawn is the directory's, because the program is our own.
fn in_directory(error: &io::Error, job: &Job<'_>) -> Failure {
    Failure::io(format_args!("cannot start in {}", job.cwd.display()), error)
}
