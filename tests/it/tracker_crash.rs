//! The tracker's commands killed, or refused by the system, at any system call that touches `.lattice`: afterwards
//! the event is there or not, never half; the same command goes through; and nothing is left to repair.

use std::cell::Cell;
use std::collections::BTreeMap;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries::variable;
use crate::harness::call::{Call, Finished};
use crate::harness::campaign::sampled;
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace::{self, Moment};
use crate::harness::waiting::skipped;
use crate::tracker_crash_commands::{COMMANDS, Command, MORE, Repeated};

/// Trials of one command in the ordinary tests.
const TRIALS: usize = 12;

struct Stage<'a> {
    sandbox: &'a Sandbox,
    command: &'a Command,
    trial: Cell<usize>,
}

impl Stage<'_> {
    fn call(&self) -> Call {
        let id = format!("{:04}", self.trial.get());
        let words =
            self.command.argv.iter().map(|word| word.replace("C0ID", &id).replace("A0ID", &id));
        self.sandbox.lattice(words.chain(["--json".to_owned()]))
    }

    fn set(&self) {
        self.trial.set(self.trial.get() + 1);
        let script = self.command.scene.replace("T.", &format!("{}.", self.sandbox.task));
        self.sandbox.sh(&format!("cd .lattice && {{ {script}; }} > /dev/null"));
    }

    /// Every event on disk by its ID, and in how many lines it stands in one log. A line that is no event and not
    /// the torn last one of its log is a failure.
    #[track_caller]
    fn events(&self, moment: &Moment) -> BTreeMap<String, Value> {
        let mut events = BTreeMap::new();
        for place in ["events", "archive/events"] {
            for entry in fs::read_dir(self.sandbox.lattice_dir().join(place)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy();
                if !name.starts_with("task_") {
                    continue;
                }
                let log = fs::read_to_string(&path).unwrap();
                for line in log.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                    let event: Value = serde_json::from_str(line)
                        .unwrap_or_else(|error| panic!("{moment:?}: {error} in {path:?}: {line}"));
                    events.insert(event["id"].as_str().unwrap().to_owned(), event);
                }
            }
        }
        events
    }

    /// The system calls that touch `.lattice` in a call that goes through.
    fn moments(&self, wanted: impl Fn(&Moment) -> bool) -> Vec<Moment> {
        self.set();
        let (finished, moments) = strace::moments_on(self.sandbox, self.call(), "/.lattice/");
        finished.ok();
        let moments: Vec<Moment> = moments.into_iter().filter(wanted).collect();
        let trials = TRIALS.min(moments.len().saturating_sub(1));
        assert!(trials > 3, "the trace shows the work: {moments:?}");
        sampled(moments, trials)
    }

    /// What must hold after a call that was killed or refused.
    #[track_caller]
    fn check(&self, before: &BTreeMap<String, Value>, finished: &Finished, moment: &Moment) {
        let told = finished.code == Some(0);
        let context = format!("{} at {moment:?}: {finished}", self.command.name);
        // What `doctor` could not repair it finds again.
        if finished.code == Some(1) && self.command.name != "doctor" {
            let error = finished.json()["error"].clone();
            assert!(error["message"].is_string() && error["hint"].is_string(), "{context}");
        }
        let after = self.events(moment);
        let new = self.new_events(before, &after, &context);
        let all = self.command.kinds.len();
        assert!(new == all || (new == 0 && !told), "{context}");

        let retry = self.call().run();
        let conflict = self.command.repeated == Repeated::Conflict && new > 0;
        assert!(retry.code == Some(0) || (conflict && retry.code == Some(1)), "{context}\n{retry}");
        let more = self.new_events(before, &self.events(moment), &context);
        let expected = if self.command.repeated == Repeated::Again { new + all } else { all };
        assert_eq!(more, expected, "{context}\n{retry}");
        self.assert_healthy(&context);
    }

    #[track_caller]
    fn new_events(
        &self,
        before: &BTreeMap<String, Value>,
        after: &BTreeMap<String, Value>,
        context: &str,
    ) -> usize {
        for (id, event) in before {
            assert_eq!(after.get(id), Some(event), "{context}");
        }
        let new: Vec<_> = after.iter().filter(|(id, _)| !before.contains_key(*id)).collect();
        for (_, event) in &new {
            assert!(self.command.kinds.contains(&event["type"].as_str().unwrap()), "{context}");
        }
        new.len()
    }

    /// `doctor --fix` leaves nothing, and all snapshots are what `rebuild` makes of the logs.
    #[track_caller]
    fn assert_healthy(&self, context: &str) {
        let fixed = self.sandbox.lattice(["doctor", "--fix", "--json"]).run();
        assert_eq!(fixed.code, Some(0), "{context}\n{fixed}");
        assert_eq!(fixed.data()["findings"], json!([]), "{context}\n{fixed}");
        let script = "cd .lattice && find tasks archive/tasks ids.json -type f | sort | xargs cat";
        let snapshots = || self.sandbox.sh(script).stdout;
        let before = snapshots();
        self.sandbox.lattice(["rebuild", "--all"]).run().ok();
        assert_eq!(snapshots(), before, "{context}");
    }
}

fn campaign(
    name: &str,
    strike: impl Fn(Call, &Moment) -> Call,
    moments: impl Fn(&Stage<'_>) -> Vec<Moment>,
) {
    let is_full = variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full");
    for command in COMMANDS.iter().chain(if is_full { MORE } else { &[] }) {
        let sandbox = Sandbox::without_git();
        sandbox.create("Second");
        if !strace::available(&sandbox) {
            return skipped(name, "no strace");
        }
        let stage = Stage { sandbox: &sandbox, command, trial: Cell::new(0) };
        let mut struck = 0;
        for moment in moments(&stage) {
            stage.set();
            let before = stage.events(&moment);
            let finished = strike(stage.call(), &moment).run();
            struck += usize::from(finished.code != Some(0));
            stage.check(&before, &finished, &moment);
        }
        println!("{name}: {struck} calls of {} were struck", command.name);
        // `doctor` goes on without what it is refused, and finds the rest again.
        assert!(
            struck > 0 || command.name == "doctor",
            "a campaign that strikes nobody proves nothing"
        );
    }
}

#[test]
fn killed_at_any_system_call() {
    campaign("killed_at_any_system_call", strace::killed_at, |stage| stage.moments(|_| true));
}

/// What can fail for want of room, or of permission.
const WRITES: [&str; 12] = [
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "mkdir",
    "fallocate",
    "ftruncate",
];

fn refused(name: &str, error: &'static str) {
    let writes =
        |stage: &Stage<'_>| stage.moments(|moment| WRITES.contains(&moment.syscall.as_str()));
    let strike = |call: Call, moment: &Moment| strace::refused_at(call, error, moment);
    campaign(name, strike, writes);
}

#[test]
fn without_room_at_any_system_call() {
    refused("without_room_at_any_system_call", "ENOSPC");
}

#[test]
fn without_permission_at_any_system_call() {
    refused("without_permission_at_any_system_call", "EACCES");
}

#[test]
fn a_read_only_directory_refuses_and_is_still_examined() {
    let sandbox = Sandbox::without_git();
    sandbox.create("Second");
    sandbox.lattice(["archive", "LAT-2", "--actor", ACTOR]).run().ok();
    sandbox.sh(&format!("rm .lattice/tasks/{}.json", sandbox.task));
    let lattice = sandbox.lattice_dir().display().to_string();
    let mounts = format!("mount --bind {lattice} {lattice} && mount -o remount,bind,ro {lattice}");
    let namespace = match Namespace::new(&sandbox, &mounts) {
        Ok(namespace) => namespace,
        Err(reason) => {
            return skipped("a_read_only_directory_refuses_and_is_still_examined", &reason);
        }
    };
    let before = sandbox.tree();
    let writes: [&[&str]; 6] = [
        &["archive", "LAT-1", "--actor", ACTOR],
        &["unarchive", "LAT-2", "--actor", ACTOR],
        &["rebuild", "LAT-1"],
        &["rebuild", "--all"],
        &["set-project-code", "NEW", "--force"],
        &["set-subproject-code", "F"],
    ];
    for write in writes {
        let call = sandbox.lattice(write).arg("--json");
        let refused = namespace.inside(call, &sandbox.project).run();
        let error = refused.json()["error"].clone();
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(error["message"].as_str().unwrap().contains(".lattice"), "{refused}");
    }
    for options in [&["doctor", "--json"][..], &["doctor", "--fix", "--json"]] {
        let found = namespace.inside(sandbox.lattice(options), &sandbox.project).run().ok();
        assert_eq!(found.data()["findings"][0]["check"], "snapshot_drift", "{found}");
    }
    sandbox.assert_unchanged(&before);
}
