//! Agents as callers: how they run a hook or a tool's command, as far as it matters to what that starts.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::binaries;
use super::call::{Call, command};
use super::process::{Process, in_session};
use super::waiting::SOON;

/// How long after the last of its processes something may still hold an output.
const EOF_LIMIT: Duration = Duration::from_secs(5);

/// A command of an agent, in a session of its own, with sockets for its standard streams.
pub struct Command {
    child: Child,
    process: Process,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Command {
    /// `input` is what a hook is told; its standard input ends behind it.
    pub fn start(call: Call, input: &Value) -> Self {
        let (argv, environment, directory) = call.parts();
        let mut command = command(binaries::fake_engine());
        command.arg("setsid").arg("exec=env").args(argv);
        command.env_clear().envs(environment).current_dir(directory);
        let mut ends = Vec::new();
        let mut socket = || {
            let (ours, theirs) = UnixStream::pair().expect("a socket pair");
            ends.push(ours);
            Stdio::from(OwnedFd::from(theirs))
        };
        command.stdin(socket()).stdout(socket()).stderr(socket());
        let child = command.spawn().expect("a shell is there");
        // With the description of the command its copies of the sockets go.
        drop(command);
        let [mut stdin, stdout, stderr] = <[UnixStream; 3]>::try_from(ends).expect("three sockets");
        // One that does not read what it is told may be gone before it is told.
        drop(stdin.write_all(input.to_string().as_bytes()));
        drop(stdin);
        let pid = i32::try_from(child.id()).expect("a pid is positive");
        let process = Process::open(pid).expect("a child is there until it is waited for");
        Self { child, process, stdout: collect(stdout), stderr: collect(stderr) }
    }

    /// Waits for the end of the output, not of the process: so do agents, and that is what a detached child that
    /// holds on to an output delays.
    #[track_caller]
    pub fn ended(mut self) -> (Option<i32>, String, String) {
        let text =
            |from: &Receiver<String>| from.recv_timeout(SOON).expect("the end of the output");
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        (self.child.wait().expect("it can be waited for").code(), stdout, stderr)
    }

    /// What an agent does when a hook takes too long, and at the end of a tool's call: the group ends.
    #[track_caller]
    pub fn kill_group(&self) {
        let group = Pid::from_raw(self.process.pid).expect("a pid is positive");
        kill_process_group(group, Signal::KILL).expect("its group is there");
    }

    /// What an agent does that is thorough: whatever is in the session of a background shell.
    pub fn kill_session(&self) {
        for process in in_session(self.process.pid) {
            process.kill();
        }
    }

    /// After a kill: everything that held an output is gone.
    #[track_caller]
    pub fn gone(mut self) {
        for output in [&self.stdout, &self.stderr] {
            output.recv_timeout(EOF_LIMIT).expect("nobody holds its output");
        }
        self.child.wait().expect("it can be waited for");
    }
}

fn collect(mut from: UnixStream) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(from.read_to_end(&mut bytes));
        drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
    });
    receiver
}
