//! The least that a program needs for reading all tasks: every file of a directory read whole by so many threads, and
//! its JSON understood. `scripts/bench` divides by it.
//!
//!     parse-floor typed|values DIRECTORY THREADS
//!
//! `typed`: of each snapshot what a list shows. `values`: of each log every line, as a tree.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;

use fs_err as fs;
use serde_json::Value;

/// What is borrowed from the text costs no memory.
#[derive(serde::Deserialize)]
struct Shown<'a> {
    id: &'a str,
    short_id: Option<&'a str>,
    status: &'a str,
    #[serde(borrow)]
    title: std::borrow::Cow<'a, str>,
    priority: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [mode, directory, threads] = &words[..] else {
        panic!("parse-floor typed|values DIRECTORY THREADS");
    };
    let look = match mode.as_str() {
        "typed" => typed,
        "values" => values,
        _ => panic!("no mode {mode}"),
    };
    let entries = fs::read_dir(directory).expect("a directory");
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let threads: usize = threads.parse().expect("a number of threads");
    thread::scope(|scope| {
        for share in paths.chunks(paths.len().div_ceil(threads).max(1)) {
            scope.spawn(move || read_all(share, look));
        }
    });
}

fn read_all(paths: &[PathBuf], look: fn(&[u8]) -> usize) {
    let (mut content, mut seen) = (Vec::new(), 0);
    for path in paths.iter().filter(|path| is_of_a_task(path)) {
        content.clear();
        let mut file = fs::File::open(path).expect("a file");
        file.read_to_end(&mut content).expect("its content");
        seen += look(&content);
    }
    assert!(seen > 0, "there was something to read");
}

fn is_of_a_task(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("task_"))
}

fn typed(content: &[u8]) -> usize {
    let shown: Shown<'_> = serde_json::from_slice(content).expect("a snapshot");
    let texts = [Some(shown.id), shown.short_id, Some(shown.status), shown.priority, shown.kind];
    texts.into_iter().flatten().map(str::len).sum::<usize>() + shown.title.len()
}

fn values(content: &[u8]) -> usize {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice::<Value>(line).expect("an event"));
    values.filter(Value::is_object).count()
}
