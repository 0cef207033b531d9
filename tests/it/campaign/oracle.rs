//! The invariant: what holds after every trial, whatever was done to the run.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use fs_err as fs;
use serde_json::Value;

use super::history::{Events, Runs};
use super::stage::Stage;
use crate::harness::campaign::{age_unlocked, supervisors};
use crate::harness::process::Process;
use crate::harness::waiting::{SOON, eventually};

/// What became of a run.
pub struct Settled {
    /// Its terminal event; `None`: it never was one.
    pub end: Option<Rc<Value>>,
    /// From the fault, or from the call that it needed, to the record.
    pub time: Option<Duration>,
}

impl Stage {
    pub fn runs(&self) -> Runs {
        self.history.borrow_mut().read(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.sandbox.lattice_dir().join(format!("events/{}.jsonl", self.sandbox.task))
    }

    /// Waits for the supervisors, makes at most one ordinary call, and looks at everything.
    #[track_caller]
    pub fn settle(&self, context: &str, before: &Runs, struck: Option<SystemTime>) -> Settled {
        let sandbox = &self.sandbox;
        eventually(
            &format!("{context}: the supervisors have ended"),
            4 * SOON,
            || match supervisors(sandbox) {
                0 => Ok(()),
                left => Err(format!("{left} supervisors: {:#?}", sandbox.processes())),
            },
        );
        let mut since = struck;
        if !matches!(self.state(before), Ok(trash) if trash.is_empty()) {
            age_unlocked(sandbox);
            since = Some(SystemTime::now());
            sandbox.lattice(["worker", "ps"]).run().ok();
            let what = format!("{context}: everything has settled");
            let trash = eventually(&what, SOON, || self.state(before));
            // Trees that a crash left are garbage by their names: `worker reap` deletes them, no quick command does.
            if !trash.is_empty() {
                sandbox.lattice(["worker", "reap"]).run().ok();
                let mut left = sandbox.traces();
                left.retain(is_trash);
                assert_eq!(left, [""; 0], "{context}");
            }
        }
        let end = self.new_run(before).and_then(|(_, (_, mut ends))| ends.pop());
        let time = end.as_ref().and_then(|_| {
            let written = fs::metadata(self.log()).and_then(|metadata| metadata.modified()).ok()?;
            // A record that was there before the fault says nothing.
            written.duration_since(since?).ok()
        });
        if let Some(end) = &end {
            self.assert_true(context, end);
        }
        self.assert_nothing_lives(context);
        self.assert_settled_for_good(context);
        self.assert_canaries(context);
        Settled { end, time }
    }

    fn new_run(&self, before: &Runs) -> Option<(String, Events)> {
        self.runs().into_iter().find(|(run, _)| !before.contains_key(run))
    }

    /// One start and one end for each run, and nothing left but what a record names, and trash: that is answered.
    fn state(&self, before: &Runs) -> Result<Vec<String>, String> {
        let runs = self.runs();
        let new = runs.len() - before.len();
        let open: Vec<_> =
            runs.values().filter(|(starts, ends)| (starts.len(), ends.len()) != (1, 1)).collect();
        let ends = runs.values().flat_map(|(_, ends)| ends);
        let kept: Vec<String> = ends.filter_map(|end| kept(end)).collect();
        let is_kept = |trace: &String| kept.iter().any(|name| trace.contains(name.as_str()));
        let (trash, mut left): (Vec<_>, Vec<_>) =
            self.sandbox.traces().into_iter().partition(is_trash);
        left.retain(|trace| !is_kept(trace));
        if new <= 1 && open.is_empty() && left.is_empty() {
            Ok(trash)
        } else {
            Err(format!("{new} new, open: {open:#?}, left: {left:#?}"))
        }
    }

    /// The end says what is known to have happened, the same in the log and in the record that is kept.
    #[track_caller]
    fn assert_true(&self, context: &str, end: &Value) {
        let data = &end["data"];
        let run = data["started_event_id"].as_str().expect("an end names its run");
        let began = self.sandbox.base.join("marks").join(run).exists();
        assert_eq!(end["type"], "process_failed", "{context}: no engine exits with 0: {end}");
        let told = data["exit_code"] == 3;
        assert!(began || !told, "{context}: an exit status of an engine that never began: {end}");
        assert!(told || data["reason"] != "exited", "{context}: an invented status: {end}");
        let error = data["error"].as_str().expect("a failure has a sentence");
        assert!(!error.contains("a bug of"), "{context}: {end}");
        let path = self.sandbox.lattice_dir().join(format!("logs/workers/{run}.json"));
        let record: Value =
            serde_json::from_slice(&fs::read(path).expect("a record is kept")).expect("it is JSON");
        assert_eq!(&record["terminal"], end, "{context}: the log and the record differ");
        if began && kept(end).is_none() {
            let saved = data["preserved_ref"]
                .as_str()
                .unwrap_or_else(|| panic!("{context}: its work is nowhere: {end}"));
            let work = self.sandbox.git(["show", &format!("{saved}:precious")]);
            assert_eq!(work, "work", "{context}: {end}");
        }
    }

    #[track_caller]
    fn assert_nothing_lives(&self, context: &str) {
        let peers = self.sandbox.socket.others();
        let alive: Vec<_> = peers.iter().filter(|peer| !Process::is_dead(peer)).collect();
        assert!(alive.is_empty(), "{context}: {alive:?} outlives the record");
    }

    /// A second reap finds nothing to do.
    #[track_caller]
    fn assert_settled_for_good(&self, context: &str) {
        let before = self.sandbox.tree();
        self.sandbox.lattice(["worker", "reap"]).run().ok();
        let changes = before.differences(&self.sandbox.tree());
        assert!(changes.is_empty(), "{context}: a second reap changes {changes:?}");
    }

    /// What a trial may leave is no concern of the next one.
    pub fn remove_kept(&self, end: &Value) {
        if let Some(path) = end["data"]["kept_worktree"].as_str() {
            let script = format!(
                "git worktree remove -f -f {path} 2>/dev/null; rm -rf {path}; git worktree prune"
            );
            self.sandbox.sh(&script);
        }
    }

    /// The supervisors' own way to the end, in real time and without a tracer.
    #[track_caller]
    pub fn wait_recorded(&self, before: &Runs, since: Instant) -> Duration {
        eventually("the record", SOON, || {
            let ended = self.new_run(before).is_some_and(|(_, (_, ends))| !ends.is_empty());
            if ended { Ok(since.elapsed()) } else { Err("no end yet".to_owned()) }
        })
    }
}

#[expect(clippy::ptr_arg, reason = "it is asked of the elements of a list")]
pub fn is_trash(trace: &String) -> bool {
    // A half-made member of a pool is garbage too; one that is whole is no trace.
    ["worktree .trash-", "worktree .pool-"].iter().any(|kind| trace.starts_with(kind))
}

/// The name of the worktree that an end says was kept.
pub fn kept(end: &Value) -> Option<String> {
    let path = end["data"]["kept_worktree"].as_str()?;
    Some(path.rsplit('/').next()?.to_owned())
}
