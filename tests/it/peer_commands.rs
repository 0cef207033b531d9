//! The same commands, by chance, given to both tools in a directory each: the same answers, the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;

use crate::harness::binaries::variable;
use crate::harness::normalize::Names;
use crate::harness::peer::{Answer, Peer};
use crate::harness::random::Random;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::waiting::skipped;

/// Commands of one sequence, and sequences, of which the ordinary tests make one.
const COMMANDS: usize = 150;
const SEQUENCES: usize = 30;

const STATUSES: [&str; 10] = [
    "backlog",
    "in_planning",
    "planned",
    "in_progress",
    "review",
    "done",
    "blocked",
    "needs_human",
    "cancelled",
    "nonsense",
];
const ACTORS: [&str; 4] = ["human:ana", "agent:b", "agent:c", "nobody"];
/// Codes for mistakes of many kinds: of two, each tool names the one that it sees first.
const MANY: [&str; 2] = ["NOT_FOUND", "VALIDATION_ERROR"];
/// Written by one tool only, or by `init`.
const NOT_COMPARED: [&str; 7] =
    ["locks", "logs", "runs", "worktrees", ".gitignore", ".gitattributes", "context.md"];

#[test]
fn the_same_commands_leave_the_same_files() {
    let sandbox = Sandbox::empty();
    let mut peer = match Peer::new(&sandbox, None) {
        Ok(peer) => peer,
        Err(reason) => return skipped("the_same_commands_leave_the_same_files", &reason),
    };
    let mut random = Random::seeded();
    let is_full = variable("LATTICE_TEST_CAMPAIGN").is_some_and(|value| value == "full");
    for number in 0..if is_full { SEQUENCES } else { 1 } {
        let base = sandbox.base.join(format!("pair{number}"));
        let mut pair = Pair::new(&sandbox, &mut peer, base);
        for _ in 0..COMMANDS {
            let command = pair.command(&mut random);
            pair.step(&command);
        }
    }
}

/// One of the two projects, and the words of its own for what differs by nature.
struct Side {
    directory: PathBuf,
    names: Names,
}

struct Pair<'a> {
    sandbox: &'a Sandbox,
    peer: &'a mut Peer,
    ours: Side,
    theirs: Side,
    tasks: usize,
    history: Vec<String>,
}

impl<'a> Pair<'a> {
    /// The Python tool makes the project, and ours goes on with a copy.
    fn new(sandbox: &'a Sandbox, peer: &'a mut Peer, base: PathBuf) -> Self {
        let side = |name: &str| {
            let directory = base.join(name);
            fs::create_dir_all(&directory).unwrap();
            let names = Names::new(vec![(directory.display().to_string(), "$DIR")]);
            Side { directory, names }
        };
        let (ours, theirs) = (side("ours"), side("theirs"));
        let init = ["init", "--project-code", "LAT", "--actor", ACTOR];
        let options = ["--no-setup-agents", "--no-setup-claude"];
        peer.call(&theirs.directory, &[&init[..], &options].concat()).ok();
        sandbox.sh(&format!("cd {} && cp -r theirs/.lattice ours/", base.display()));
        let mut pair = Self { sandbox, peer, ours, theirs, tasks: 0, history: Vec::new() };
        for _ in 0..3 {
            let create = pair.create(&[]);
            pair.step(&create);
        }
        pair
    }

    fn create(&mut self, options: &[&str]) -> Vec<String> {
        self.tasks += 1;
        let (title, id) = (format!("Task \u{e9} {}", self.tasks), task_id(self.tasks));
        let words = ["create", &title, "--id", &id, "--actor", ACTOR];
        words.iter().chain(options).map(|word| (*word).to_owned()).collect()
    }

    /// Runs it with both, and compares everything.
    fn step(&mut self, words: &[String]) {
        self.history.push(words.join(" "));
        let argv =
            |side: &Side| -> Vec<String> { words.iter().map(|word| side.comment(word)).collect() };
        let (ours, theirs) = (argv(&self.ours), argv(&self.theirs));
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        let theirs = self.peer.call(&self.theirs.directory, &theirs);
        let ours = self.sandbox.lattice(&ours).current_dir(&self.ours.directory).run();
        let ours = Answer {
            code: i64::from(ours.code.expect("no signal")),
            stdout: ours.stdout,
            stderr: ours.stderr,
            crash: None,
        };
        let context = || format!("{ours:#?}\n{theirs:#?}\nafter {:#?}", self.history);
        assert!(theirs.crash.is_none() && ours.code == theirs.code, "{}", context());
        // Python's own words for values show through in its text of a task's page.
        let is_json = words.iter().any(|word| word == "--json");
        if ours.code == 0 && (is_json || words[0] != "show") {
            let text = |side: &mut Side, answer: &Answer| {
                side.normal(&format!("{}--- stderr\n{}", answer.stdout, answer.stderr))
            };
            let (a, b) = (text(&mut self.ours, &ours), text(&mut self.theirs, &theirs));
            assert_eq!(a, b, "{}", context());
        } else if is_json && !MANY.contains(&error_code(&theirs).as_str().unwrap_or_default()) {
            assert_eq!(error_code(&ours), error_code(&theirs), "{}", context());
        }
        let (a, b) = (self.ours.files(), self.theirs.files());
        let differ = a.keys().chain(b.keys()).find(|name| a.get(*name) != b.get(*name));
        if let Some(name) = differ {
            assert_eq!(a.get(name), b.get(name), "{name}, after {:#?}", self.history);
        }
    }

    /// The next command.
    fn command(&mut self, random: &mut Random) -> Vec<String> {
        let task = format!("LAT-{}", 1 + random.below(self.tasks + 1));
        let mut words = self.words(random, &task);
        if words[0] == "create" {
            return words;
        }
        let takes_actor =
            !["next", "list", "show", "comments", "rebuild"].contains(&words[0].as_str());
        if takes_actor {
            words.extend(["--actor", random.pick(&ACTORS)].map(str::to_owned));
            let is_forced = words.iter().any(|word| word == "--force");
            if random.one_in(if is_forced { 2 } else { 7 }) {
                words.extend(["--reason", "because \u{2028}"].map(str::to_owned));
            }
            if random.one_in(9) {
                words.extend(["--model", "m", "--triggered-by", "x"].map(str::to_owned));
            }
        }
        let form = random.pick(&["", "", "--json", "--quiet"]);
        let has_quiet = !["show", "comments", "rebuild"].contains(&words[0].as_str());
        if !form.is_empty() && (has_quiet || form == "--json") {
            words.push(form.to_owned());
        }
        words
    }

    fn words(&mut self, random: &mut Random, task: &str) -> Vec<String> {
        let number = random.below(4).to_string();
        let comment = format!("%{}", random.below(5));
        let mut words: Vec<&str> = match random.below(26) {
            0..=4 => vec!["status", task, random.pick(&STATUSES)],
            5 => vec!["assign", task, random.pick(&["agent:b", "human:x", "none", "y"])],
            6 | 7 => return fields(random, task),
            8 => return event(random, task),
            9 | 10 => {
                let kind = random.pick(&["blocks", "depends_on", "nonsense"]);
                let target = random.pick(&["LAT-1", "LAT-2", "LAT-3", "LAT-99"]);
                vec![random.pick(&["link", "link", "unlink"]), task, kind, target]
            }
            11 => vec!["branch-link", task, random.pick(&["a", "b/c"])],
            12 => vec!["branch-unlink", task, random.pick(&["a", "b/c"])],
            13 | 14 => vec!["comment", task, "Hello \u{1f600}"],
            15 => vec!["comment", task, "Reply", "--reply-to", &comment],
            16 => vec!["comment-edit", task, &comment, &number],
            17 => vec!["comment-delete", task, &comment],
            18 => vec![random.pick(&["react", "unreact"]), task, &comment, "ok"],
            19 => return self.attachment(random, task),
            20 => vec!["complete", task, "--review", &number],
            21 => vec!["next", "--claim", "--actor", random.pick(&ACTORS)],
            22 => vec![random.pick(&["archive", "archive", "unarchive"]), task],
            23 => {
                return self.create(&[
                    "--priority",
                    "high",
                    "--description",
                    "As described.",
                    "--json",
                ]);
            }
            24 => return self.plan(random, task),
            _ => return self.look(random, task),
        };
        if words[0] == "status" && random.one_in(3) {
            words.push("--force");
        }
        if ["comment", "comment-edit"].contains(&words[0]) && random.one_in(3) {
            words.extend(["--role", random.pick(&["review", "nonsense"])]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    fn attachment(&self, random: &mut Random, task: &str) -> Vec<String> {
        // With the ID of another task's artifact the Python tool says that it was done, and does nothing.
        let id = format!("art_01KC0000000000000000000{:0>2}{}", &task[4..], random.below(3));
        let source =
            random.pick(&["--inline=Text \u{e9}", "https://example.org/a", ".lattice/config.json"]);
        let mut words = vec!["attach", task, source, "--id", &id];
        if random.one_in(2) {
            words.extend(["--role", "review"]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// A plan is written by hand; then somebody looks.
    fn plan(&self, random: &mut Random, task: &str) -> Vec<String> {
        let number: usize = task[4..].parse().unwrap();
        let text = random.pick(&["# x\n", "real\n", "# x\n\nbody\n", ""]);
        for side in [&self.ours, &self.theirs] {
            let path = side.directory.join(format!(".lattice/plans/{}.md", task_id(number)));
            if path.exists() {
                fs::write(path, text).unwrap();
            }
        }
        self.look(random, task)
    }

    fn look(&self, random: &mut Random, task: &str) -> Vec<String> {
        let full = task_id(1 + random.below(self.tasks));
        let looks: [&[&str]; 8] = [
            &["show", task],
            &["show", task, "--full"],
            &["list"],
            &["list", "--status", "done", "--include-archived"],
            &["comments", task],
            &["next", "--actor", "agent:b"],
            &["rebuild", &full],
            &["rebuild", "--all"],
        ];
        looks[random.below(looks.len())].iter().map(|word| (*word).to_owned()).collect()
    }
}

impl Side {
    /// `%n` is the n-th comment that was ever made here, whoever deleted it.
    fn comment(&self, word: &str) -> String {
        let Some(number) = word.strip_prefix('%') else { return word.to_owned() };
        let mut comments = Vec::new();
        for (_, text) in self.texts() {
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let added = lines.filter(|event| event["type"] == "comment_added");
            comments.extend(added.map(|event| event["id"].as_str().unwrap().to_owned()));
        }
        let number: usize = number.parse().unwrap();
        comments
            .into_iter()
            .nth(number)
            .unwrap_or_else(|| "ev_01KC0000000000000000000000".to_owned())
    }

    fn files(&mut self) -> BTreeMap<String, String> {
        let texts = self.texts();
        // Logs first: in them the order of the identifiers is the order of the commands.
        let (logs, others): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|(name, _)| name.starts_with("events/"));
        let all = logs.into_iter().chain(others);
        all.map(|(name, text)| (self.normal(&name), self.normal(&text))).collect()
    }

    /// Every file, by its path below `.lattice`.
    fn texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        collect(&self.directory.join(".lattice"), "", &mut texts);
        texts.sort();
        texts
    }

    fn normal(&mut self, text: &str) -> String {
        let text = self.names.normalize(text);
        // The date of a plan's reset.
        let lines = text.split_inclusive('\n').map(|line| match line.strip_prefix("## Reset ") {
            Some(rest) => format!("## Reset <date>{}", rest.get(10..).unwrap_or_default()),
            None => line.to_owned(),
        });
        lines.collect()
    }
}

fn collect(directory: &Path, name: &str, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if NOT_COMPARED.contains(&file.as_str()) {
            continue;
        }
        let name = if name.is_empty() { file } else { format!("{name}/{file}") };
        if path.is_dir() {
            collect(&path, &name, into);
        } else {
            into.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn task_id(number: usize) -> String {
    format!("task_01KC00000000000000000000{number:02}")
}

fn error_code(answer: &Answer) -> Value {
    let envelope: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
    envelope["error"]["code"].clone()
}

fn fields(random: &mut Random, task: &str) -> Vec<String> {
    let mut fields = vec![
        "title=New = title",
        "tags=a, b,,c",
        "tags=",
        "priority=high",
        "priority=nonsense",
        "urgency=low",
        "complexity=low",
        "type=bug",
        "custom_fields.k=1",
        "custom_fields.a.b=\u{7f}",
        "description=",
        "description=Line\u{2028}separator",
    ];
    random.shuffle(&mut fields);
    // One field twice is refused here.
    let name = |field: &str| field.split('=').next().map(str::to_owned);
    let mut seen = BTreeSet::new();
    fields.retain(|field| seen.insert(name(field)));
    fields.truncate(1 + random.below(3));
    ["update", task].iter().chain(&fields).map(|word| (*word).to_owned()).collect()
}

fn event(random: &mut Random, task: &str) -> Vec<String> {
    let id = format!("ev_01KC000000000000000000000{}", random.below(4));
    let data = random.pick(&[
        r#"{"n":1.50,"big":123456789012345678901234567890}"#,
        r#"{"v":1,"w":-0.0,"v":[1E5,{"":null}]}"#,
        r#"{"s":"\u007f\ud83d\ude00/\u2028"}"#,
        "[]",
        "{",
    ]);
    let kind = random.pick(&["x_a", "x_b", "status_changed", "nonsense"]);
    ["event", task, kind, "--data", data, "--id", &id].map(str::to_owned).to_vec()
}
