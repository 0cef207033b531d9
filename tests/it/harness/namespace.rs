//! A user and mount namespace in which a test may mount: a small disk, a read-only directory. No root needed.

use std::path::{Path, PathBuf};

use super::binaries;
use super::call::{Call, Running};
use super::sandbox::Sandbox;
use super::socket::Peer;

/// Lives as long as its keeper, a fake that waits in the namespace.
pub struct Namespace {
    keeper: Peer,
    running: Option<Running>,
    /// What else must be entered.
    enter: &'static [&'static str],
}

impl Namespace {
    /// `mounts` is a script. `Err` is the reason where the kernel or its policy refuses it.
    pub fn new(sandbox: &Sandbox, mounts: &str) -> Result<Self, String> {
        Self::with(sandbox, &["-Urm"], &[], mounts)
    }

    /// One with process numbers of its own, as a container has. Its process 1 reaps nobody.
    pub fn of_processes(sandbox: &Sandbox) -> Result<Self, String> {
        Self::with(sandbox, &["-Urmpf", "--mount-proc", "--kill-child"], &["-p"], "true")
    }

    fn with(
        sandbox: &Sandbox,
        unshare: &[&str],
        enter: &'static [&'static str],
        mounts: &str,
    ) -> Result<Self, String> {
        let unshare = || {
            let words = ["unshare"].iter().chain(unshare).chain(&["bash", "-c"]);
            sandbox.program(words.copied().map(str::to_owned).collect::<Vec<_>>())
        };
        let probe = unshare().arg(mounts).run();
        if probe.code != Some(0) {
            return Err(format!("unshare: {}", probe.stderr.trim()));
        }
        let keep = format!(
            "{mounts} && exec {} socket={} connect=keeper wait",
            binaries::fake_engine(),
            sandbox.socket.path().display()
        );
        let running = unshare().arg(keep).start();
        Ok(Self { keeper: sandbox.socket.peer("keeper"), running: Some(running), enter })
    }

    /// The same call, made inside, in a directory as the namespace sees it.
    pub fn inside(&self, call: Call, directory: &Path) -> Call {
        let pid = self.keeper.pid.to_string();
        let directory = format!("--wdns={}", directory.display());
        let words = ["nsenter", "-t", &pid, "-U", "-m", "--preserve-credentials", &directory];
        call.through(words.into_iter().chain(self.enter.iter().copied()))
    }

    /// A path of the namespace, seen from outside.
    pub fn path(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.pid));
        root.join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.keeper.kill();
        if let Some(running) = self.running.take() {
            running.finish();
        }
    }
}
