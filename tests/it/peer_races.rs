//! Both tools write the same tasks at once, whatever their lock files do: no event is lost or torn, and each of our
//! writes leaves the state that the log has.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries::variable;
use crate::harness::call::Finished;
use crate::harness::peer::{Answer, DELETING, Peer};
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::skipped;

/// How long they race: in the ordinary tests, and in a campaign.
const SHORT: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(30);

struct Race {
    /// They have to be gone before their sandbox.
    peers: Vec<Peer>,
    sandbox: Sandbox,
    stop: PathBuf,
}

impl Race {
    /// A project with two tasks, and a Python process with each of these lock libraries.
    fn new(test: &str, libraries: &[Option<&str>]) -> Option<Self> {
        let sandbox = Sandbox::without_git();
        sandbox.create("Second");
        let peers: Result<Vec<Peer>, String> =
            libraries.iter().map(|library| Peer::new(&sandbox, *library)).collect();
        let stop = sandbox.base.join("stop");
        match peers {
            Ok(peers) => Some(Self { peers, sandbox, stop }),
            Err(reason) => {
                skipped(test, &reason);
                None
            }
        }
    }

    /// Lets all run at once. Ours are two at a time, each of these commands in turn.
    fn run(&mut self, theirs: &[&[&str]], ours: &[&[&str]]) -> (Vec<Answer>, Vec<Finished>) {
        self.run_with(theirs, ours, 2)
    }

    fn run_with(
        &mut self,
        theirs: &[&[&str]],
        ours: &[&[&str]],
        at_once: usize,
    ) -> (Vec<Answer>, Vec<Finished>) {
        for peer in &mut self.peers {
            peer.race(&self.sandbox.project, theirs, &self.stop);
        }
        let is_full = variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full");
        let limit = if is_full { LONG } else { SHORT };
        let (begin, mut finished) = (Instant::now(), Vec::new());
        let mut commands = ours.iter().cycle().enumerate();
        while begin.elapsed() < limit {
            let some: Vec<_> = commands
                .by_ref()
                .take(at_once)
                .map(|(n, words)| {
                    let words = words.iter().map(|word| word.replace("{n}", &n.to_string()));
                    self.sandbox.lattice(words.chain(["--json".to_owned()])).start()
                })
                .collect();
            finished.extend(some.into_iter().map(super::harness::call::Running::finish));
        }
        fs::write(&self.stop, "").unwrap();
        let answers = self.peers.iter_mut().flat_map(Peer::answers).collect();
        (answers, finished)
    }

    /// The events of a task, none of them torn or twice, wherever they are.
    fn events(&self, task: &str) -> Vec<Value> {
        let mut events = Vec::new();
        for place in ["archive/events", "events"] {
            let path = self.sandbox.lattice_dir().join(format!("{place}/{task}.jsonl"));
            let text = fs::read_to_string(path).unwrap_or_default();
            assert!(text.is_empty() || text.ends_with('\n'), "a torn line");
            events.extend(text.lines().map(|line| serde_json::from_str(line).expect("an event")));
        }
        let ids: BTreeSet<_> = events.iter().map(|event: &Value| event["id"].to_string()).collect();
        assert_eq!(ids.len(), events.len(), "an event twice");
        events
    }

    /// Our next write heals what Python's left, and then nothing is to be found.
    fn settle(&self, tasks: &[&str]) {
        for task in tasks {
            self.sandbox.lattice(["comment", task, "The last word", "--actor", ACTOR]).run().ok();
        }
        let snapshots = || self.sandbox.sh("cat .lattice/tasks/*.json").stdout;
        let before = snapshots();
        self.sandbox.lattice(["rebuild", "--all"]).run().ok();
        assert_eq!(snapshots(), before);
        let found = self.sandbox.lattice(["doctor", "--json"]).run().ok().data();
        assert_eq!(found["findings"], json!([]));
    }
}

/// What the replay of these events has to say, of what is changed in the races.
fn fold<'a>(events: impl IntoIterator<Item = &'a Value>) -> Value {
    let (mut comments, mut assigned, mut links) = (0, Value::Null, Vec::new());
    for event in events {
        let data = &event["data"];
        match event["type"].as_str() {
            Some("comment_added") => comments += 1,
            Some("assignment_changed") => assigned = data["to"].clone(),
            Some("relationship_added") => links.push(data["target_task_id"].clone()),
            Some("relationship_removed") => links.retain(|link| *link != data["target_task_id"]),
            _ => {}
        }
    }
    json!({"comments": comments, "assigned": assigned, "links": links})
}

/// Each answer of ours is the state up to the event that it has written.
fn assert_replayed(events: &[Value], answers: &[Value]) {
    for answer in answers {
        let last = events.iter().position(|event| event["id"] == answer["last_event_id"]);
        let last = last.unwrap_or_else(|| panic!("the event of {answer} is in the log"));
        let links = answer["relationships_out"].as_array().unwrap().iter();
        let shown = json!({
            "comments": answer["comment_count"],
            "assigned": answer["assigned_to"],
            "links": links.map(|link| link["target_task_id"].clone()).collect::<Vec<_>>(),
        });
        assert_eq!(shown, fold(&events[..=last]), "{answer}");
    }
}

/// What the Python tool does where a lock does not come free.
fn gave_up(answer: &Answer) -> bool {
    answer.crash.as_ref().is_some_and(|crash| crash.contains("Timeout"))
}

/// `at_once` of ours, and as many of theirs as there are libraries. The answer is those of theirs that gave up.
fn one_task(test: &str, libraries: &[Option<&str>], at_once: usize) -> Vec<Answer> {
    let Some(mut race) = Race::new(test, libraries) else { return Vec::new() };
    let theirs: [&[&str]; 2] = [
        &["comment", "LAT-1", "theirs {n}", "--actor", "agent:python", "--json"],
        &["assign", "LAT-1", "agent:p{n}-{pid}", "--actor", "agent:python", "--json"],
    ];
    let ours: [&[&str]; 2] = [
        &["comment", "LAT-1", "ours {n}", "--actor", ACTOR],
        &["assign", "LAT-1", "agent:r{n}", "--actor", ACTOR],
    ];
    let (theirs, ours) = race.run_with(&theirs, &ours, at_once);
    let events = race.events(&race.sandbox.task.clone());
    println!("{} calls of theirs, {} of ours", theirs.len(), ours.len());
    let (theirs, late_theirs): (Vec<_>, Vec<_>) =
        theirs.into_iter().partition(|call| call.code == 0);
    let is_late = late_theirs.iter().all(gave_up);
    assert!(is_late, "on a busy machine a lock may come too late: {late_theirs:#?}");
    let (ours, late): (Vec<_>, Vec<_>) = ours.into_iter().partition(|call| call.code == Some(0));
    late.into_iter().for_each(|call| drop(call.refused(3, "LOCK_TIMEOUT")));
    assert!(theirs.len() > 5 && ours.len() > 5, "a race has two");
    // The creation, and one event for each call that was told that it had been successful.
    assert_eq!(events.len(), 1 + theirs.len() + ours.len());
    let ours: Vec<_> = ours.iter().map(Finished::data).collect();
    assert_replayed(&events, &ours);
    race.settle(&["LAT-1"]);
    late_theirs
}

#[test]
fn both_tools_write_one_task() {
    one_task("both_tools_write_one_task", &[None, None], 2);
}

/// The Python tool looks at a lock every 50 ms and gives up after 10 s: there must be gaps between our writes.
#[test]
fn sixteen_writers_do_not_starve_the_python_tool() {
    let late = one_task("sixteen_writers_do_not_starve_the_python_tool", &[None], 16);
    assert!(late.is_empty(), "{late:#?}");
}

#[test]
fn both_tools_write_one_task_while_lock_files_are_deleted() {
    let test = "both_tools_write_one_task_while_lock_files_are_deleted";
    one_task(test, &[Some(DELETING), None], 2);
}

#[test]
fn both_tools_link_two_tasks_to_each_other() {
    let test = "both_tools_link_two_tasks_to_each_other";
    let Some(mut race) = Race::new(test, &[Some(DELETING), None]) else { return };
    let commands: [&[&str]; 4] = [
        &["link", "LAT-1", "blocks", "LAT-2", "--actor", ACTOR],
        &["link", "LAT-2", "blocks", "LAT-1", "--actor", ACTOR],
        &["unlink", "LAT-1", "blocks", "LAT-2", "--actor", ACTOR],
        &["unlink", "LAT-2", "blocks", "LAT-1", "--actor", ACTOR],
    ];
    let theirs: Vec<Vec<&str>> =
        commands.iter().map(|words| [*words, &["--json"]].concat()).collect();
    let theirs: Vec<&[&str]> = theirs.iter().map(Vec::as_slice).collect();
    let (theirs, ours) = race.run(&theirs, &commands);
    let first = race.sandbox.task.clone();
    let shown = race.sandbox.lattice(["show", "LAT-2", "--json"]).run().ok().data();
    let second = shown["id"].as_str().unwrap().to_owned();
    let (first, second) = (race.events(&first), race.events(&second));
    // Refused is who comes second, and nobody else.
    let done = theirs.iter().filter(|answer| answer.code == 0).count();
    let is_fair = |answer: &Answer| gave_up(answer) || answer.crash.is_none() && answer.code <= 1;
    assert!(theirs.iter().all(is_fair), "{theirs:#?}");
    let (accepted, refused): (Vec<_>, Vec<_>) =
        ours.into_iter().partition(|answer| answer.code == Some(0));
    for answer in refused {
        let error = answer.error();
        assert!(
            ["CONFLICT", "NOT_FOUND", "LOCK_TIMEOUT"].contains(&error["code"].as_str().unwrap()),
            "{error}"
        );
    }
    assert_eq!(first.len() + second.len(), 2 + done + accepted.len());
    let (of_first, of_second): (Vec<_>, Vec<_>) =
        accepted.iter().map(Finished::data).partition(|data| data["short_id"] == "LAT-1");
    assert!(!of_first.is_empty() && !of_second.is_empty());
    assert_replayed(&first, &of_first);
    assert_replayed(&second, &of_second);
    // The Python tool decides by what it has read before it had the lock: a link of its own may be there twice.
    for words in &commands[2..] {
        race.sandbox.lattice(*words).run();
    }
    race.settle(&["LAT-1", "LAT-2"]);
}

/// The Python tool may begin a second log for a task that goes into the archive meanwhile.
#[test]
fn nothing_is_lost_when_a_late_write_meets_an_archive() {
    let test = "nothing_is_lost_when_a_late_write_meets_an_archive";
    let Some(mut race) = Race::new(test, &[Some(DELETING), None]) else { return };
    let theirs: [&[&str]; 1] =
        [&["comment", "LAT-1", "theirs {n}", "--actor", "agent:python", "--json"]];
    let ours: [&[&str]; 2] =
        [&["archive", "LAT-1", "--actor", ACTOR], &["unarchive", "LAT-1", "--actor", ACTOR]];
    let (theirs, _) = race.run(&theirs, &ours);
    race.sandbox.lattice(["doctor", "--fix"]).run().ok();
    race.sandbox.lattice(["unarchive", "LAT-1", "--actor", ACTOR]).run();
    let events = race.events(&race.sandbox.task.clone());
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    let done: Vec<_> = theirs.iter().filter(|answer| answer.code == 0).collect();
    println!("{} of {} comments came through", done.len(), theirs.len());
    assert!(!done.is_empty());
    for answer in done {
        let told: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert!(ids.contains(&told["data"]["last_event_id"].to_string()), "{told}");
    }
    race.settle(&["LAT-1"]);
}
