//! `init` in all its forms, killed or refused at any system call: what it leaves is no project yet, or the whole one, and
//! the same `init` completes it to what it would have been.

use fs_err as fs;
use serde_json::Value;

use crate::harness::call::{Call, Finished};
use crate::harness::campaign::{is_full, spread};
use crate::harness::sandbox::Sandbox;
use crate::harness::strace::{self, Moment, writes};
use crate::harness::waiting::skipped;

/// Trials of one form in the ordinary tests.
const TRIALS: usize = 8;

struct Form {
    words: &'static str,
    /// What is there before.
    scene: &'static str,
    root: &'static str,
}

const PLAIN: Form =
    Form { words: "--actor human:ana --project-code LAT", scene: "true", root: "." };
const WITHOUT_CODE: Form = Form { words: "", scene: "true", root: "." };
const WHOLE: Form = Form {
    words: "--actor human:ana --project-code LAT --subproject-code F --project-name N --instance-name I --model m \
            --heartbeat --workflow opinionated --seed --description D",
    scene: "true",
    root: ".",
};
const ELSEWHERE: Form =
    Form { words: "--path sub --project-code LAT", scene: "mkdir sub", root: "sub" };
/// What a clone lacks, and what an older version did not make.
const COMPLETED: Form = Form {
    words: "",
    scene: "lattice init --project-code LAT; cd .lattice; rm -r locks plans archive artifacts .gitattributes ids.json; \
            echo mine > .gitignore",
    root: ".",
};
const UNFINISHED: Form = Form {
    words: "--project-code LAT --seed",
    scene: "mkdir -p .lattice/events; echo Mine > .lattice/context.md",
    root: ".",
};

struct Stage<'a> {
    sandbox: Sandbox,
    form: &'a Form,
}

impl<'a> Stage<'a> {
    fn set(form: &'a Form) -> Self {
        let sandbox = Sandbox::empty();
        sandbox.sh(&format!("{{ {}; }} > /dev/null", form.scene));
        Self { sandbox, form }
    }

    fn call(&self) -> Call {
        let words = ["init"].into_iter().chain(self.form.words.split_whitespace());
        self.sandbox.lattice(words.chain(["--json"]))
    }

    /// The names and contents of all files but locks and plans, in order, without what no two projects have in common.
    /// Of an example task that is created its event is the truth, and a number once given is not given again.
    fn outcome(&self) -> String {
        self.in_root(&["doctor", "--fix"]).run().ok();
        let script = "cd .lattice && find . -path ./locks -prune -o -print | sort | grep -v '/[.]tmp[.]\\|plans/'; \
                      cat .git* context.md config.json; cat tasks/*.json | grep -v short_id | sort";
        let script = format!("cd {} && {{ {script}; }} 2> /dev/null | cat", self.form.root);
        let text = self.sandbox.sh(&script).stdout;
        let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.map(|word| if is_own(word) { "OWN" } else { word }).collect()
    }

    #[track_caller]
    fn check(&self, finished: &Finished, whole: &str, moment: &Moment) {
        let context = format!("{:?} at {moment:?}: {finished}", self.form.words);
        if finished.code == Some(1) {
            let error = finished.json()["error"].clone();
            let text = |key: &str| error[key].as_str().is_some_and(|text| !text.trim().is_empty());
            assert!(text("message") && text("hint"), "{context}");
        }
        assert!([None, Some(0), Some(1)].contains(&finished.code), "{context}");
        // Nobody takes half a project for one.
        let listed = self.in_root(&["list", "--json"]).run();
        let is_there =
            fs::metadata(self.sandbox.project.join(self.form.root).join(".lattice/config.json"))
                .is_ok();
        let expected = if is_there { Value::Null } else { "NOT_INITIALIZED".into() };
        assert_eq!(listed.json()["error"]["code"], expected, "{context}\n{listed}");

        self.call().run().ok();
        assert_eq!(self.outcome(), whole, "{context}");
        self.in_root(&["create", "Works", "--actor", "human:ana"]).run().ok();
        // For some seconds a number without a task may be that of one which is being created.
        let found = self.in_root(&["doctor", "--json"]).run().ok();
        let mut findings = found.data()["findings"].as_array().unwrap().clone();
        findings.retain(|finding| finding["check"] != "alias_integrity");
        assert!(findings.is_empty(), "{context}\n{found}");
    }

    fn in_root(&self, words: &[&str]) -> Call {
        self.sandbox.lattice(words).current_dir(self.sandbox.project.join(self.form.root))
    }
}

/// The ID of something, or a part of a time.
fn is_own(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let ulid = word.rsplit('_').next().unwrap_or(word);
    (ulid.len() == 26 && word.contains('_'))
        || word.bytes().filter(u8::is_ascii_digit).count() >= 2 && !word.starts_with("LAT")
}

/// Lets a form be struck at each of its calls that are wanted, or at some of them.
fn campaign(
    test: &str,
    form: &Form,
    wanted: impl Fn(&str, &str) -> bool,
    strike: impl Fn(Call, &Moment) -> Call,
) {
    let stage = Stage::set(form);
    if !strace::available(&stage.sandbox) {
        return skipped(test, "no strace");
    }
    let project = stage.sandbox.project.display().to_string();
    let wanted = |line: &str| wanted(line, &project);
    let (finished, moments) = strace::moments_that(&stage.sandbox, stage.call(), wanted);
    finished.ok();
    let whole = stage.outcome();
    assert!(whole.contains("config.json") && moments.len() > 3, "{moments:?}\n{whole}");
    let moments = if is_full() { moments } else { spread(&moments, TRIALS) };
    let mut struck = 0;
    for moment in &moments {
        let stage = Stage::set(form);
        let finished = strike(stage.call(), moment).run();
        struck += usize::from(finished.code != Some(0));
        stage.check(&finished, &whole, moment);
    }
    println!("{test}: {struck} calls of {} were struck", moments.len());
    assert!(struck > 0, "a campaign that strikes nobody proves nothing");
}

fn killed(test: &str, form: &Form) {
    campaign(test, form, |line, project| is_full() || line.contains(project), strace::killed_at);
}

fn refused(test: &str, form: &Form, error: &str) {
    let writes = |line: &str, project: &str| line.contains(project) && writes(line);
    campaign(test, form, writes, |call, moment| strace::refused_at(call, error, moment));
}

macro_rules! strikes {
    ($($name:ident $form:ident)*) => {
        mod killed {
            $(#[test] fn $name() { super::killed(stringify!($name), &super::$form); })*
        }
        mod without_room {
            $(#[test] fn $name() { super::refused(stringify!($name), &super::$form, "ENOSPC"); })*
        }
        mod without_permission {
            $(#[test] fn $name() { super::refused(stringify!($name), &super::$form, "EACCES"); })*
        }
    };
}

strikes! {
    plain PLAIN
    without_code WITHOUT_CODE
    whole WHOLE
    elsewhere ELSEWHERE
    completed COMPLETED
    unfinished UNFINISHED
}
