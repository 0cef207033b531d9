//! The runs of a stage's log. It grows with every trial and is read many times in each: a line is parsed once, as long as
//! it and all before it are byte for byte what they were.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use fs_err as fs;
use serde_json::Value;

use crate::harness::run::add;

/// The starts and the ends of one run.
pub type Events = (Vec<Rc<Value>>, Vec<Rc<Value>>);
pub type Runs = BTreeMap<String, Events>;

#[derive(Default)]
pub struct History {
    text: String,
    runs: Runs,
}

impl History {
    #[track_caller]
    pub fn read(&mut self, log: &Path) -> Runs {
        let text = fs::read_to_string(log).expect("a task has a log");
        assert!(text.ends_with('\n'), "the log ends in a whole line: {text}");
        if !text.starts_with(&self.text) {
            *self = Self::default();
        }
        for line in text[self.text.len()..].lines() {
            let event: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
            add(&mut self.runs, event);
        }
        self.text = text;
        self.runs.clone()
    }
}

#[test]
fn what_was_read_once_is_read_again_when_it_is_another() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let log = directory.path().join("log");
    let start = |id: &str| format!("{{\"type\":\"process_started\",\"id\":\"{id}\"}}\n");
    let mut history = History::default();
    let mut names = |text: String| {
        fs::write(&log, text).expect("the directory is writable");
        history.read(&log).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(start("a")), ["a"]);
    assert_eq!(names(start("a") + &start("b")), ["a", "b"]);
    assert_eq!(names(start("a") + &start("c")), ["a", "c"]);
    assert_eq!(names(start("a")), ["a"]);
}
