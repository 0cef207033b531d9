//! A program that does what its arguments say, one after the other: the engine, the daemon or the caller of a test.
//!
//! Each argument is a step, `verb` or `verb=value`; [`Fake::step`] lists them. A fake that has connected to the
//! test's socket is told by it when to go on, and ends when the test ends. Knows nothing of Lattice but the names
//! of two of its variables.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fs_err as fs;
use fs_err::OpenOptions;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::{Pid, getppid, pause, setsid};

/// Where a step leads: to the next one, or out.
enum Next {
    Step,
    Exit(u8),
}

/// The state that earlier steps leave to later ones.
#[derive(Default)]
struct Fake {
    /// Path of the test's socket.
    socket: String,
    control: Option<BufReader<UnixStream>>,
    /// The value of `ignore`, handed on to descendants, because a handler does not survive an exec.
    ignored: String,
    /// Descriptors that stay open until the end, or until `exec` hands them on.
    leaked: Vec<fs::File>,
    lock: Option<Lock>,
    memory: Vec<Vec<u8>>,
}

mod ancestors;
mod lock;
mod tree;

use ancestors::{await_word, parent_of};
use lock::{Lock, rewrite_locked};
use tree::{Act, Tree};

fn main() -> ExitCode {
    let mut fake = Fake::default();
    let mut steps = env::args().skip(1);
    while let Some(step) = steps.next() {
        let (verb, value) = step.split_once('=').unwrap_or((&step, ""));
        if verb == "exec" {
            // The rest is not steps but the command that takes this process over.
            let error = command(value).args(steps).exec();
            return complain(&step, &error);
        }
        if verb == "background" {
            // The rest is for a child, and this process is over.
            let begun = command_self().and_then(|mut own| own.args(steps).spawn());
            return begun.map_or_else(|error| complain(&step, &error), |_| ExitCode::SUCCESS);
        }
        match fake.step(verb, value) {
            Ok(Next::Step) => {}
            Ok(Next::Exit(code)) => return ExitCode::from(code),
            Err(error) => return complain(&step, &error),
        }
    }
    ExitCode::SUCCESS
}

fn complain(step: &str, error: &io::Error) -> ExitCode {
    eprintln!("fake-engine: {step}: {error}");
    ExitCode::from(97)
}

impl Fake {
    fn step(&mut self, verb: &str, value: &str) -> io::Result<Next> {
        match verb {
            "socket" => self.socket = value.to_owned(),
            // Says NAME to the test; from here on the test sees this process live and die.
            "connect" => self.connect(value)?,
            // Until the test says `go` or `exit N`; the end of the test is the end of the fake.
            "wait" | "sleep-forever" => return self.obey(),
            "print" => say(io::stdout(), value)?,
            "eprint" => say(io::stderr(), value)?,
            // A file's bytes as they are; COUNT:PATH, so many times.
            "cat" => flood(1, value)?,
            "flood" => {
                let (count, path) = split(value)?;
                flood(number(count)?, path)?;
            }
            // So many mebibytes, touched and kept.
            "allocate" => self.memory.push(vec![1; number::<usize>(value)? << 20]),
            // So many milliseconds of processor time.
            "burn" => burn(value)?,
            // DEPTH: two children in sessions of their own that do the same, less deep, and all stay.
            "multiply" => return multiply(number(value)?),
            // PATH:TEXT, a whole file.
            "write" => write_file(value)?,
            "mkdir" => fs::create_dir_all(value)?,
            // COUNT:PATH, so many bytes, or as many as the disk takes.
            "fill" => fill(value)?,
            "report" => fs::write(env_path("LATTICE_REPORT")?, value)?,
            "read-stdin" => read_stdin(value)?,
            "env-dump" => dump(value, environment())?,
            "fds-dump" => dump(value, descriptors()?)?,
            "status-dump" => fs::copy("/proc/self/status", value).map(drop)?,
            "stat-dump" => fs::copy("/proc/self/stat", value).map(drop)?,
            // Comma-separated signals without SIG.
            "ignore" => self.ignore(value)?,
            "setsid" => setsid().map(drop)?,
            "chdir" => env::set_current_dir(value)?,
            // Descendants that connect under the given name and live until they are killed.
            "spawn-child" => self.spawn(command_self()?, value, &[])?,
            "spawn-setsid" => self.spawn(command_self()?, value, &["setsid"])?,
            "spawn-nohup" => self.spawn_nohup(value)?,
            "spawn-env-i" => self.spawn_without_environment(value, false)?,
            // Nor a directory or an output of the run: only its parent gives it away.
            "spawn-unseen" => self.spawn_without_environment(value, true)?,
            "spawn-double-fork" => self.spawn_double_fork(value)?,
            // Never the same process for long, and never in the same session, as long as the file is there.
            "hop" => return hop(value),
            // SEED:DEPTH, a member of a random tree of processes.
            "tree" => return self.grow(value),
            "git-commit" => git_commit(value)?,
            // LOCK: taken with flock(2) as the library does that the Python tool uses; held until `unlock`.
            "lock" => self.lock = Some(Lock::acquire(value)?),
            "lock-shared" => self.lock = Some(Lock::shared(value)?),
            "unlock" => drop(self.lock.take()),
            // COUNT:LOCK:FILE, rewrites the whole file under the lock, so many times: a read-modify-write that
            // loses whatever another writer appends in between.
            "rewrite-locked" => rewrite_locked(value)?,
            // COUNT:PATH, opened for appending without close-on-exec.
            "leak-fds" => self.leak(value)?,
            "kill-self" => send(Pid::this(), value)?,
            "kill-parent" => send(getppid(), value)?,
            // WORD, in the command lines of its parent and grandparent; a second at most.
            "await-parents" => await_word(value)?,
            "kill-grandparent" => send(parent_of(getppid())?, value)?,
            "exit" => return Ok(Next::Exit(number(value)?)),
            _ => return Err(io::Error::other("no such step")),
        }
        Ok(Next::Step)
    }

    fn connect(&mut self, name: &str) -> io::Result<()> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(format!("{name}\n").as_bytes())?;
        self.control = Some(BufReader::new(stream));
        Ok(())
    }

    fn obey(&mut self) -> io::Result<Next> {
        let Some(control) = &mut self.control else {
            loop {
                pause();
            }
        };
        let mut line = String::new();
        control.read_line(&mut line)?;
        match line.trim_end().split_once(' ') {
            Some(("exit", code)) => Ok(Next::Exit(number(code)?)),
            None if line == "go\n" => Ok(Next::Step),
            // The test is over, or speaks nonsense.
            _ => Ok(Next::Exit(99)),
        }
    }

    fn ignore(&mut self, signals: &str) -> io::Result<()> {
        for name in signals.split(',').filter(|name| !name.is_empty()) {
            signal_hook::flag::register(signal(name)? as i32, Arc::new(AtomicBool::new(false)))?;
        }
        signals.clone_into(&mut self.ignored);
        Ok(())
    }

    fn grow(&mut self, value: &str) -> io::Result<Next> {
        self.connect("member")?;
        let mut tree = Tree::parse(value)?;
        loop {
            match tree.act() {
                Act::Spawn(child) => tree.spawn(&child, &self.socket)?,
                // EPERM for the leader of a group, which then keeps its session.
                Act::Session => drop(setsid()),
                Act::Exec => {
                    let words = tree.words(&self.socket, false);
                    return Err(command_self()?.args(words).exec());
                }
                Act::Leave => return Ok(Next::Exit(0)),
                Act::Stay => loop {
                    pause();
                },
            }
        }
    }

    fn spawn(&self, mut command: Command, name: &str, first: &[&str]) -> io::Result<()> {
        command.args(first).args(self.descendant(name)).stdin(Stdio::null()).spawn().map(drop)
    }

    fn descendant(&self, name: &str) -> Vec<String> {
        let steps = [
            format!("socket={}", self.socket),
            format!("ignore={}", self.ignored),
            format!("connect={name}"),
            "sleep-forever".to_owned(),
        ];
        steps.into()
    }

    fn spawn_nohup(&self, name: &str) -> io::Result<()> {
        let mut nohup = command("nohup");
        nohup.arg(env::current_exe()?);
        self.spawn(nohup, name, &[])
    }

    fn spawn_without_environment(&self, name: &str, unseen: bool) -> io::Result<()> {
        let mut command = command_self()?;
        command.env_clear();
        if unseen {
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        }
        self.spawn(command, name, &["setsid"])
    }

    fn spawn_double_fork(&self, name: &str) -> io::Result<()> {
        let socket = format!("socket={}", self.socket);
        let steps = [
            "setsid",
            &socket,
            &format!("ignore={}", self.ignored),
            &format!("spawn-child={name}"),
            "exit=0",
        ];
        command_self()?.args(steps).status().map(drop)
    }

    fn leak(&mut self, value: &str) -> io::Result<()> {
        let (count, path) = split(value)?;
        for _ in 0..number::<usize>(count)? {
            let file = OpenOptions::new().append(true).open(path)?;
            rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
            self.leaked.push(file);
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake stands outside of the product and its spawn module"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn command_self() -> io::Result<Command> {
    let path = env::current_exe()?;
    Ok(command(path.to_str().ok_or_else(|| io::Error::other("the path of the fake is not UTF-8"))?))
}

#[expect(clippy::disallowed_methods, reason = "the fake looks at the environment that it is given")]
fn env_path(name: &str) -> io::Result<std::ffi::OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")))
}

#[expect(clippy::disallowed_methods, reason = "the fake shows the environment that it is given")]
fn environment() -> impl Iterator<Item = String> {
    env::vars_os().map(|(name, value)| format!("{}={}", name.display(), value.display()))
}

fn say(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}

fn flood(count: usize, path: &str) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let mut out = io::stdout().lock();
    for _ in 0..count {
        out.write_all(&bytes)?;
    }
    out.flush()
}

fn write_file(value: &str) -> io::Result<()> {
    let (path, text) = split(value)?;
    fs::write(path, text)
}

fn fill(value: &str) -> io::Result<()> {
    let (count, path) = split(value)?;
    let mut file = fs::File::create(path)?;
    let mut left = number::<usize>(count)?;
    let block = [b'x'; 4096];
    while left > 0 {
        match file.write(&block[..left.min(block.len())]) {
            Ok(written) => left -= written,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_stdin(path: &str) -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    fs::write(path, format!("{} bytes", text.len()))
}

/// `FD TARGET` for each open descriptor but the one that lists them.
fn descriptors() -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // The listing's own descriptor is gone when its link is read for the second time, below.
        if let Ok(target) = fs::read_link(entry.path()) {
            lines.push(format!("{} {}", entry.file_name().display(), target.display()));
        }
    }
    let own = format!("/proc/{}/fd", Pid::this());
    lines.retain(|line| !line.ends_with(&own));
    Ok(lines)
}

/// Written beside and renamed into place, so that whoever sees the file sees all of it.
fn dump(path: &str, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    let beside = format!("{path}.part");
    fs::write(&beside, text)?;
    fs::rename(beside, path)
}

fn hop(path: &str) -> io::Result<Next> {
    if fs::exists(path)? {
        command_self()?.args(["setsid", &format!("hop={path}")]).stdin(Stdio::null()).spawn()?;
    }
    Ok(Next::Exit(0))
}

fn burn(value: &str) -> io::Result<()> {
    let limit: i64 = number(value)?;
    loop {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        if (usage.user_time() + usage.system_time()).num_milliseconds() >= limit {
            return Ok(());
        }
    }
}

fn multiply(depth: u32) -> io::Result<Next> {
    // EPERM for the leader of a group, which then keeps its session.
    let _session = setsid();
    for _ in 0..if depth > 0 { 2 } else { 0 } {
        let word = format!("multiply={}", depth - 1);
        command_self()?.arg(word).stdin(Stdio::null()).spawn()?;
    }
    loop {
        pause();
    }
}

fn git_commit(message: &str) -> io::Result<()> {
    for arguments in [&["add", "-A"][..], &["commit", "-q", "-m", message]] {
        let status = command("git").args(arguments).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("git {arguments:?} ended with {status}")));
        }
    }
    Ok(())
}

fn send(to: Pid, name: &str) -> io::Result<()> {
    Ok(kill(to, signal(name)?)?)
}

fn signal(name: &str) -> io::Result<Signal> {
    Ok(Signal::from_str(&format!("SIG{name}"))?)
}

fn split(value: &str) -> io::Result<(&str, &str)> {
    value.split_once(':').ok_or_else(|| io::Error::other("expected a colon in the value"))
}

fn number<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other("expected a number"))
}
