//! A run that is held in one of its phases: by a lock, by a peer, or at a system call.

use std::path::PathBuf;

use fs_err as fs;
use serde_json::{Value, json};

use super::call::Running;
use super::hold;
use super::process::Process;
use super::sandbox::Sandbox;
use super::socket::Peer;
use super::strace;
use super::waiting::{SOON, eventually};

/// Where a run is held.
pub enum Hold {
    /// The CLI waits for the task's lock, and the warden for its answer.
    Answer,
    /// The peer of this name waits: a hook, git, a setup command, the worker.
    Peer(&'static str),
    /// The shim is stopped behind one of these calls on this file of `.lattice`, if it is one; the peer waited until
    /// that was prepared.
    Call { from: &'static str, calls: &'static str, file: Option<&'static str> },
    /// As the last, but the shim is dead, and it is the warden that does the end.
    Warden(&'static str, &'static str),
}

/// A run that stands still in its phase.
pub struct Held<'a> {
    pub sandbox: &'a Sandbox,
    pub run: String,
    pub warden: Process,
    pub shim: Option<Process>,
    /// Goes on by SIGCONT.
    pub stopped: Option<Process>,
    /// Fakes end when the test lets go of them.
    pub peers: Vec<Peer>,
    /// A call that waits for a lock, and the lock's holder.
    pub call: Option<(Running, Running)>,
}

/// A sandbox with a worker that does everything that a phase needs.
pub fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    hold::git(&sandbox);
    let setup = sandbox.fake_line(&["connect=setup", "wait"]);
    for (name, ignored) in [("Work", ""), ("Stubborn", "TERM")] {
        let steps = [
            &format!("ignore={ignored}"),
            "write=precious:work\n",
            "report=said\n",
            "spawn-setsid=daemon",
            "connect=main",
            "wait",
        ];
        let command = sandbox.fake(&steps);
        sandbox.worker(
            name,
            json!({"command": command, "setup": [setup], "worktree": true, "grace_seconds": 60}),
        );
    }
    let told =
        |event: &str| format!("echo {event} >> ../told; {}", hold::line(&sandbox, event, "true"));
    sandbox.configure(
        "hooks",
        json!({"on": {"process_started": told("hook-started"), "process_failed": told("hook-failed")}}),
    );
    sandbox
}

impl<'a> Held<'a> {
    pub fn reach(sandbox: &'a Sandbox, hold: &Hold, worker: &str) -> Self {
        match *hold {
            Hold::Answer => Self::asked(sandbox, worker),
            Hold::Peer(name) => Self::at_peer(sandbox, worker, name),
            Hold::Call { from: "answer", calls, file } => {
                let mut held = Self::asked(sandbox, worker);
                let stop = held.stop(&held.warden, strace::Who::Child, calls, file);
                held.answer();
                held.stopped = Some(stop.reached());
                held.with_shim()
            }
            Hold::Call { from, calls, file } => {
                let mut held = Self::at_peer(sandbox, worker, from);
                let shim = held.shim.as_ref().expect("a peer has its shim");
                let stop = held.stop(shim, strace::Who::Itself, calls, file);
                held.go_on();
                held.stopped = Some(stop.reached());
                held
            }
            Hold::Warden(calls, file) => {
                let mut held = Self::at_peer(sandbox, worker, "main");
                let stop = held.stop(&held.warden, strace::Who::Itself, calls, Some(file));
                held.shim.take().expect("a peer has its shim").kill();
                held.stopped = Some(stop.reached());
                held
            }
        }
    }

    fn asked(sandbox: &'a Sandbox, worker: &str) -> Self {
        let lock = sandbox.lattice_dir().join(format!("locks/events_{}.lock", sandbox.task));
        let steps = [&format!("lock={}", lock.display()), "connect=holder", "wait"];
        let holder = sandbox.start_fake(&steps);
        let peers = vec![sandbox.socket.peer("holder")];
        let call = sandbox.lattice(["worker", "run", worker, "LAT-1"]).start();
        let (run, pid) = eventually("the warden is ready", SOON, || {
            let runs =
                fs::read_dir(sandbox.lattice_dir().join("runs")).map_err(|e| e.to_string())?;
            let seat = runs.flatten().find_map(|entry| {
                let known = fs::read(entry.path().join("supervisor.json")).ok()?;
                let known: Value = serde_json::from_slice(&known).ok()?;
                Some((entry.file_name().into_string().ok()?, known["warden"]["pid"].as_i64()?))
            });
            seat.ok_or_else(|| "no supervisor.json".to_owned())
        });
        let warden = Process::open(pid as i32).expect("the warden waits");
        Self { sandbox, run, warden, shim: None, stopped: None, peers, call: Some((call, holder)) }
    }

    fn at_peer(sandbox: &'a Sandbox, worker: &str, name: &str) -> Self {
        let always = ["setup", "main"];
        if !always.contains(&name) {
            hold::once(sandbox, name);
        }
        let run = sandbox.start(worker);
        let pid = run.started["pid"].as_i64().expect("a pid is a number") as i32;
        let warden = Process::open(pid).expect("the warden is there");
        let held = Self {
            sandbox,
            run: run.id,
            warden,
            shim: None,
            stopped: None,
            peers: Vec::new(),
            call: None,
        };
        let mut held = held.with_shim();
        for station in ["hook-started", "checkout", "setup", "main", "salvage", "hook-failed"] {
            if station == name || always.contains(&station) {
                held.peers.push(sandbox.socket.peer(station));
            }
            if station == name {
                break;
            }
            if always.contains(&station) {
                held.go_on();
            }
        }
        held
    }

    fn with_shim(mut self) -> Self {
        let shim = || self.warden.child(" shim ").ok_or_else(|| "no child".to_owned());
        self.shim = Some(eventually("the warden has a shim", SOON, shim));
        self
    }

    /// The process will stop behind its next call of one of these on this file, named as in [`Hold::Call`].
    pub fn stop(
        &self,
        process: &Process,
        who: strace::Who,
        calls: &str,
        file: Option<&str>,
    ) -> strace::Stop {
        let file = file.map(|file| {
            let spec = fs::read(self.directory().join("spec.json")).expect("a run has a spec");
            let spec: Value = serde_json::from_slice(&spec).expect("a spec is JSON");
            let worktree =
                PathBuf::from(spec["worktree_path"].as_str().expect("it has a worktree"));
            let name = worktree.file_name().expect("a worktree has a name").display().to_string();
            let file = file.replace("RUN", &self.run).replace("TASK", &self.sandbox.task);
            self.sandbox.lattice_dir().join(file.replace("WORKTREE", &name))
        });
        strace::stopping(self.sandbox, process, who, calls, file.as_deref())
    }

    pub fn directory(&self) -> PathBuf {
        self.sandbox.lattice_dir().join("runs").join(&self.run)
    }

    pub fn answer(&mut self) {
        let Some((call, holder)) = self.call.take() else { return };
        self.peers.pop().expect("somebody holds the lock").tell("exit 0");
        holder.finish().ok();
        call.finish().ok();
    }

    /// The peer that waits goes on; the worker ends.
    pub fn go_on(&mut self) {
        let peer = self.peers.last().expect("somebody waits");
        peer.tell(if peer.name == "main" { "exit 3" } else { "go" });
    }
}
