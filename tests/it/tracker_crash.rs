//! The tracker's commands killed, or refused by the system, at any system call: afterwards the event is there or not,
//! never half; what was refused has changed nothing; the same command goes through; and nothing is left to repair.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::call::{Call, Finished};
use crate::harness::campaign::{is_full, spread};
use crate::harness::namespace::Namespace;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace::{self, Moment, writes};
use crate::harness::tree::Tree;
use crate::harness::waiting::skipped;
use crate::tracker_crash_commands::{COMMANDS, Command, Repeated};

/// Trials of one command in the ordinary tests: kills, and refusals.
const KILLS: usize = 10;
const REFUSALS: usize = 5;

struct Stage {
    sandbox: Sandbox,
    command: &'static Command,
    trial: Cell<usize>,
    /// The last word that the scene has said.
    word: RefCell<String>,
}

impl Stage {
    fn new(command: &'static Command) -> Self {
        let sandbox = Sandbox::without_git();
        sandbox.create("Second");
        Self { sandbox, command, trial: Cell::new(0), word: RefCell::default() }
    }

    fn call(&self) -> Call {
        let id = format!("{:04}", self.trial.get());
        let line = self.command.line.replace("C0ID", &id).replace("SCENE", &self.word.borrow());
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if !self.command.kinds.is_empty() {
            words.extend(["--actor".to_owned(), ACTOR.to_owned()]);
        }
        self.sandbox.lattice(words.into_iter().chain(["--json".to_owned()]))
    }

    fn set(&self) {
        self.trial.set(self.trial.get() + 1);
        let script = self.command.scene.replace("T.", &format!("{}.", self.sandbox.task));
        let said = self.sandbox.sh(&format!("cd .lattice && {{ {script}; }} 2> /dev/null")).stdout;
        *self.word.borrow_mut() = said.split_whitespace().last().unwrap_or_default().to_owned();
    }

    /// Every event on disk by its ID. A line that is no event and not the torn last one of its log is a failure.
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

    /// The system calls of a call that goes through: all, or those that change something in the project.
    fn moments(&self, all: bool) -> Vec<Moment> {
        self.set();
        let project = self.sandbox.project.display().to_string();
        let wanted = |line: &str| all || line.contains(&project) && writes(line);
        let (finished, moments) = strace::moments_that(&self.sandbox, self.call(), wanted);
        finished.ok();
        assert!(moments.len() > 3, "the trace shows the work: {moments:?}");
        moments
    }

    /// What must hold after a call that was killed or refused.
    #[track_caller]
    fn check(&self, before: &BTreeMap<String, Value>, finished: &Finished, moment: &Moment) {
        let told = finished.code == Some(0);
        let context = format!("{} at {moment:?}: {finished}", self.command.name);
        // What `doctor` could not repair it finds again.
        if finished.code == Some(1) && self.command.name != "doctor" {
            let error = finished.json()["error"].clone();
            let text = |key: &str| error[key].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(text("message") && text("hint"), "{context}");
        }
        assert!([None, Some(0), Some(1)].contains(&finished.code), "{context}");
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

    /// A refused call that has told nothing has left what it found. Where a directory could not be synced, all is there,
    /// and only whether a loss of power leaves it is not known.
    #[track_caller]
    fn assert_unchanged(&self, before: &Tree, finished: &Finished, moment: &Moment) {
        let id = format!("{:04}", self.trial.get());
        let synced: &[&str] = match (&*moment.syscall, self.command.kinds) {
            ("fsync", []) => &[".lattice/config.json", ".lattice/ids.json"],
            _ => &[],
        };
        let is_used_up = |path: &String| {
            self.command
                .used_up
                .iter()
                .chain(synced)
                .any(|end| path.ends_with(&end.replace("C0ID", &id)))
        };
        let mut changed = before.differences(&self.tree());
        changed.retain(|path| !is_used_up(path));
        let name = self.command.name;
        assert!(changed.is_empty(), "{name} at {moment:?} has changed {changed:#?}: {finished}");
    }

    fn tree(&self) -> Tree {
        Tree::of(Path::new(&self.sandbox.project), &[".lattice/locks", ".lattice/runs"])
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

/// Every moment of a list in a campaign, some in the ordinary tests.
fn tried(moments: Vec<Moment>, count: usize) -> Vec<Moment> {
    if is_full() { moments } else { spread(&moments, count) }
}

fn killed(name: &str) {
    let stage = Stage::new(Command::named(name));
    if !strace::available(&stage.sandbox) {
        return skipped("tracker_crash::killed", "no strace");
    }
    let mut struck = 0;
    for moment in tried(stage.moments(is_full()), KILLS) {
        stage.set();
        let before = stage.events(&moment);
        let finished = strace::killed_at(stage.call(), &moment).run();
        struck += usize::from(finished.code != Some(0));
        stage.check(&before, &finished, &moment);
    }
    println!("{name}: {struck} calls were killed");
    assert!(struck > 0, "a campaign that strikes nobody proves nothing");
}

fn refused(name: &str, error: &str) {
    let stage = Stage::new(Command::named(name));
    if !strace::available(&stage.sandbox) {
        return skipped("tracker_crash::refused", "no strace");
    }
    let (mut tried_now, mut struck) = (0, 0);
    for moment in tried(stage.moments(false), REFUSALS) {
        stage.set();
        let (before, tree) = (stage.events(&moment), stage.tree());
        let finished = strace::refused_at(stage.call(), error, &moment).run();
        tried_now += 1;
        struck += usize::from(finished.code != Some(0));
        if finished.code == Some(1) && !stage.command.repairs() {
            stage.assert_unchanged(&tree, &finished, &moment);
        }
        stage.check(&before, &finished, &moment);
    }
    println!("{name}, {error}: {struck} calls of {tried_now} were refused");
    // `doctor` goes on without what it is refused, and finds the rest again.
    assert!(struck > 0 || name == "doctor", "a campaign that strikes nobody proves nothing");
}

/// A module for each command, so that they run side by side and each names what it has found.
macro_rules! strikes {
    (killed: $($killed:ident)*; refused: $($refused:ident)*;) => {
        mod killed {
            $(#[test] fn $killed() { super::killed(stringify!($killed)); })*
        }
        mod without_room {
            $(#[test] fn $refused() { super::refused(stringify!($refused), "ENOSPC"); })*
        }
        mod without_permission {
            $(#[test] fn $refused() { super::refused(stringify!($refused), "EACCES"); })*
        }
        #[test]
        fn every_command_of_the_table_is_struck() {
            let struck = [$(stringify!($refused)),*];
            let all: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
            assert_eq!(all, struck);
        }
    };
}

strikes! {
    killed: create comment attach archive unarchive rebuild doctor status_back update complete next backfill_ids;
    refused: create comment reply comment_edit comment_delete react unreact attach attach_file attach_url archive
        unarchive status status_back assign update complete next link unlink branch_link branch_unlink event
        backfill_ids backfill_code set_project_code set_first_code set_subproject_code worker_new worker_add
        worker_add_force rebuild rebuild_one doctor;
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
