//! One program that a test calls: exact output, exact status, bounded time. Every `Command` of the tests begins here.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::normalize::Names;
use super::process::Process;

/// No command of a test may take longer, whatever else the machine does.
const LIMIT: Duration = Duration::from_secs(120);
/// How long after its end a command's output may still be held open by somebody.
const EOF_LIMIT: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "the tests' one place that starts programs")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A call that is being described.
#[must_use]
pub struct Call {
    argv: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    input: Option<Vec<u8>>,
    names: Rc<RefCell<Names>>,
}

impl Call {
    pub fn new(
        argv: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        directory: PathBuf,
        names: Rc<RefCell<Names>>,
    ) -> Self {
        Self { argv, environment, directory, input: None, names }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.argv.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Puts another program in front, which ends in an exec of this one.
    pub fn through<S: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        let inner = std::mem::take(&mut self.argv);
        self.argv = wrapper.into_iter().map(Into::into).chain(inner).collect();
        self
    }

    /// The words, the environment and the directory, for one who starts it in another way.
    pub fn parts(self) -> (Vec<OsString>, Vec<(OsString, OsString)>, PathBuf) {
        (self.argv, self.environment, self.directory)
    }

    pub fn start(self) -> Running {
        let mut command = command(&self.argv[0]);
        command
            .args(&self.argv[1..])
            .env_clear()
            .envs(self.environment)
            .current_dir(self.directory);
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let started = Instant::now();
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{:?}: {error}", self.argv));
        if let (Some(bytes), Some(mut stdin)) = (self.input, child.stdin.take()) {
            // Who refuses early need not read its input: a broken pipe is no failure.
            drop(thread::spawn(move || stdin.write_all(&bytes)));
        }
        let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
        let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
        Running { argv: self.argv, child, started, stdout, stderr, names: self.names }
    }

    #[track_caller]
    pub fn run(self) -> Finished {
        self.start().finish()
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // An error ends the output like an EOF does; what came is what the test sees.
        drop(from.read_to_end(&mut bytes));
        drop(sender.send(bytes));
    });
    receiver
}

/// A call under way. Its output is being read.
pub struct Running {
    argv: Vec<OsString>,
    child: Child,
    started: Instant,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    names: Rc<RefCell<Names>>,
}

impl Running {
    pub fn process(&self) -> Process {
        let pid = i32::try_from(self.child.id()).expect("a pid is positive");
        Process::open(pid).expect("a child is there until it is waited for")
    }

    /// Waits for the end *and* for the end of its output, as a caller in a shell's `$(…)` does.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(LIMIT)
    }

    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        let process = self.process();
        if !process.dies_within(limit) {
            process.kill();
            panic!("{:?} did not end within {limit:?}", self.argv);
        }
        let status = self.child.wait().expect("a child can be waited for");
        let text = |from: &Receiver<Vec<u8>>, name: &str| {
            let read = from.recv_timeout(EOF_LIMIT);
            let bytes = read
                .unwrap_or_else(|_| panic!("somebody still holds the {name} of {:?}", self.argv));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (text(&self.stdout, "stdout"), text(&self.stderr, "stderr"));
        let elapsed = self.started.elapsed();
        let (code, signal) = (status.code(), status.signal());
        Finished { argv: self.argv, code, signal, stdout, stderr, elapsed, names: self.names }
    }
}

/// What a call left: everything it printed, and how it ended.
pub struct Finished {
    argv: Vec<OsString>,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    names: Rc<RefCell<Names>>,
}

impl Finished {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit status, {self}");
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// The whole standard output, normalized.
    #[track_caller]
    pub fn stdout(self, expected: &str) -> Self {
        assert_eq!(self.normal(&self.stdout), expected, "stdout, {self}");
        self
    }

    #[track_caller]
    pub fn stderr(self, expected: &str) -> Self {
        assert_eq!(self.normal(&self.stderr), expected, "stderr, {self}");
        self
    }

    #[track_caller]
    pub fn silent(self) -> Self {
        self.stderr("")
    }

    /// The text as the other commands of this sandbox would show it.
    pub fn normal(&self, text: &str) -> String {
        self.names.borrow_mut().normalize(text)
    }

    /// The envelope: one JSON value and the blank line that the contract asks for.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(self.stdout.ends_with("}\n\n"), "JSON ends in a newline and a blank line, {self}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("JSON: {error}, {self}"))
    }

    #[track_caller]
    pub fn data(&self) -> Value {
        let envelope = self.json();
        assert_eq!(envelope["ok"], true, "ok, {self}");
        envelope["data"].clone()
    }

    #[track_caller]
    pub fn error(&self) -> Value {
        let envelope = self.json();
        assert_eq!(envelope["ok"], false, "ok, {self}");
        envelope["error"].clone()
    }

    /// A refusal in both forms of output has the same shape: a code, a sentence, and what to type next.
    #[track_caller]
    pub fn refused(self, status: i32, code: &str) -> Value {
        let finished = self.exits(status);
        let error = finished.error();
        assert_eq!(error["code"], code, "error code, {finished}");
        let one_line = |key: &str| {
            error[key].as_str().is_some_and(|text| !text.trim().is_empty() && !text.contains('\n'))
        };
        assert!(one_line("message"), "a message of one line, {finished}");
        assert!(one_line("hint"), "a hint of one line, {finished}");
        error
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "of {:?}", self.argv)?;
        writeln!(f, "code {:?}, signal {:?}, {:?}", self.code, self.signal, self.elapsed)?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}
