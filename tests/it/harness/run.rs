//! A run as its caller and its log see it, and the invariant that holds for every run.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::Value;

use super::process::Process;
use super::sandbox::Sandbox;
use super::waiting::{SOON, eventually};

/// A run that has been started.
pub struct Run<'a> {
    sandbox: &'a Sandbox,
    pub id: String,
    pub task: String,
    /// What `worker run --json` answered.
    pub started: Value,
}

impl Sandbox {
    /// Starts a worker on the sandbox's task.
    #[track_caller]
    pub fn start(&self, worker: &str) -> Run<'_> {
        self.start_with(worker, &[])
    }

    #[track_caller]
    pub fn start_with(&self, worker: &str, options: &[&str]) -> Run<'_> {
        let call = self.lattice(["worker", "run", worker, &self.task, "--json"]);
        let answer = options.iter().fold(call, |call, option| call.arg(option)).run().ok().data();
        self.run_of(&answer)
    }

    /// The run that an answer of `worker run --json` speaks of.
    #[track_caller]
    pub fn run_of(&self, answer: &Value) -> Run<'_> {
        let text = |key: &str| {
            answer[key].as_str().unwrap_or_else(|| panic!("{key} in {answer}")).to_owned()
        };
        Run {
            sandbox: self,
            id: text("started_event_id"),
            task: text("task_id"),
            started: answer.clone(),
        }
    }

    /// Starts a worker and waits for the end of its run.
    #[track_caller]
    pub fn run_to_end(&self, worker: &str) -> Value {
        self.start(worker).ended()
    }

    /// The events of a task, each line of its log parsed without mercy.
    #[track_caller]
    pub fn events_of(&self, task: &str) -> Vec<Value> {
        let path = self.lattice_dir().join(format!("events/{task}.jsonl"));
        let text = fs::read_to_string(path).expect("a task has a log");
        assert!(text.ends_with('\n'), "the log ends in a whole line: {text}");
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
        };
        text.lines().map(parse).collect()
    }

    pub fn events(&self) -> Vec<Value> {
        self.events_of(&self.task)
    }

    /// Starts and terminal events of each run of a task, in this order, by the ID of the run.
    #[track_caller]
    pub fn runs_of(&self, task: &str) -> BTreeMap<String, (Vec<Value>, Vec<Value>)> {
        let mut runs = BTreeMap::new();
        self.events_of(task).into_iter().for_each(|event| add(&mut runs, event));
        runs
    }

    /// One start and one terminal event for each run; their number is answered.
    #[track_caller]
    pub fn assert_runs_ended(&self) -> usize {
        let runs = self.runs_of(&self.task);
        for (run, (starts, ends)) in &runs {
            assert_eq!(
                (starts.len(), ends.len()),
                (1, 1),
                "starts and ends of {run}: {starts:?} {ends:?}"
            );
        }
        runs.len()
    }
}

/// Puts a start or an end where its run is.
pub fn add<T: From<Value>>(runs: &mut BTreeMap<String, (Vec<T>, Vec<T>)>, event: Value) {
    let id = |value: &Value| value.as_str().expect("an ID is text").to_owned();
    match event["type"].as_str().expect("an event has a type") {
        "process_started" => runs.entry(id(&event["id"])).or_default().0.push(event.into()),
        "process_completed" | "process_failed" => {
            let run = id(&event["data"]["started_event_id"]);
            runs.entry(run).or_default().1.push(event.into());
        }
        _ => {}
    }
}

impl Run<'_> {
    pub fn directory(&self) -> PathBuf {
        self.sandbox.lattice_dir().join("runs").join(&self.id)
    }

    /// The terminal event, if the log has one.
    #[track_caller]
    pub fn terminal(&self) -> Option<Value> {
        let (_, mut ends) = self.sandbox.runs_of(&self.task).remove(&self.id)?;
        assert!(ends.len() <= 1, "more than one end: {ends:?}");
        ends.pop()
    }

    /// Waits for the terminal event by reading the log alone, so that no call of ours can have written it.
    #[track_caller]
    pub fn ended(&self) -> Value {
        self.ended_within(SOON)
    }

    #[track_caller]
    pub fn ended_within(&self, limit: Duration) -> Value {
        let what = format!("a terminal event of {}", self.id);
        eventually(&what, limit, || {
            self.terminal().ok_or_else(|| format!("{}\n{}", self.log_end(), self.state()))
        })
    }

    /// What the engine printed.
    pub fn log(&self) -> String {
        let path = self.sandbox.lattice_dir().join(format!("logs/workers/{}.log", self.id));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// As much of that as a message needs. Of an endless one there may be gigabytes.
    fn log_end(&self) -> String {
        let path = self.sandbox.lattice_dir().join(format!("logs/workers/{}.log", self.id));
        let mut end = vec![0; 16 * 1024];
        let read = fs::File::open(path).and_then(|log| {
            let length = log.metadata()?.len();
            log.file().read_at(&mut end, length.saturating_sub(16 * 1024))
        });
        end.truncate(read.unwrap_or(0));
        String::from_utf8_lossy(&end).into_owned()
    }

    /// The record that stays after the end: `{spec, identities, terminal}`.
    #[track_caller]
    pub fn record(&self) -> Value {
        let path = self.sandbox.lattice_dir().join(format!("logs/workers/{}.json", self.id));
        eventually("the record of the run", SOON, || {
            let bytes = fs::read(&path).map_err(|error| error.to_string())?;
            serde_json::from_slice(&bytes).map_err(|error| error.to_string())
        })
    }

    /// The shim and the warden of a live engine: its parent, and the parent of that.
    #[track_caller]
    pub fn supervisors(&self, engine: &Process) -> (Process, Process) {
        let shim = engine.parent();
        let warden = shim.parent();
        let pid = self.started["pid"].as_i64();
        assert_eq!(pid, Some(i64::from(warden.pid)), "`worker run` names the warden");
        (shim, warden)
    }

    /// Kills both supervisors at once: stopped first, so that neither can act on the death of the other. The
    /// kernel kills the engine with them, and nothing else.
    #[track_caller]
    pub fn lose_supervisors(&self, engine: &Process) {
        let (shim, warden) = self.supervisors(engine);
        for process in [&warden, &shim] {
            process.signal(Signal::STOP);
        }
        for process in [&warden, &shim] {
            process.kill();
            process.wait_dead(SOON);
        }
        engine.wait_dead(SOON);
    }

    /// For the message of a failing test.
    fn state(&self) -> String {
        let listing = fs::read_dir(self.directory()).map(|entries| {
            let names =
                entries.filter_map(|entry| Some(entry.ok()?.file_name().display().to_string()));
            names.collect::<Vec<_>>().join(" ")
        });
        format!("directory: {listing:?}\nprocesses:\n{}", self.sandbox.processes().join("\n"))
    }
}
