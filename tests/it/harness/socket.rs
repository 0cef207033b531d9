//! The sandbox's socket: a fake that connects is ready, a fake that is dead has let go of it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;

use super::process::Process;
use super::waiting::SOON;

/// A connected fake. It dereferences to the process that connected.
#[derive(Debug)]
pub struct Peer {
    pub name: String,
    process: Process,
    stream: UnixStream,
}

impl Deref for Peer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Peer {
    /// `go`, or `exit N`.
    pub fn tell(&self, line: &str) {
        (&self.stream).write_all(format!("{line}\n").as_bytes()).expect("the fake listens");
    }

    /// The same to one who may be dead by now.
    pub fn tell_perhaps(&self, line: &str) {
        drop((&self.stream).write_all(format!("{line}\n").as_bytes()));
    }
}

pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Those that connected while the test waited for another one.
    early: RefCell<Vec<Peer>>,
}

impl Socket {
    /// The path must fit `sun_path`, 108 bytes with its end on Linux.
    pub fn bind(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path)
            .expect("a socket in the sandbox; set LATTICE_TEST_DIR to a shorter one");
        listener.set_nonblocking(true).expect("a listener that does not block");
        Self { listener, path, early: RefCell::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The fake that says this name; waits for it.
    #[track_caller]
    pub fn peer(&self, name: &str) -> Peer {
        self.peer_within(name, SOON)
    }

    #[track_caller]
    pub fn peer_within(&self, name: &str, limit: Duration) -> Peer {
        let deadline = Instant::now() + limit;
        loop {
            self.accept();
            let mut early = self.early.borrow_mut();
            if let Some(index) = early.iter().position(|peer| peer.name == name) {
                return early.swap_remove(index);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let known: Vec<_> = early.iter().map(|peer| peer.name.as_str()).collect();
            assert!(
                !left.is_zero(),
                "no fake named {name} connected within {limit:?}; others: {known:?}"
            );
            self.readable(left);
        }
    }

    /// Those that have connected and that no test has asked for.
    pub fn others(&self) -> Vec<Peer> {
        self.accept();
        self.early.take()
    }

    fn readable(&self, limit: Duration) {
        let timeout = Timespec::try_from(limit).expect("a limit in a test fits a timespec");
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).expect("poll of the listener");
    }

    fn accept(&self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let pid = socket_peercred(&stream)
                .expect("a Unix socket knows its peer")
                .pid
                .as_raw_nonzero()
                .get();
            stream.set_read_timeout(Some(SOON)).expect("a time limit on the socket");
            let mut name = String::new();
            // A fake that died between connecting and speaking is no peer.
            let read = BufReader::new(&stream).read_line(&mut name);
            if let (Ok(1..), Some(process)) = (read, Process::open(pid)) {
                let name = name.trim_end().to_owned();
                self.early.borrow_mut().push(Peer { name, process, stream });
            }
        }
    }
}
