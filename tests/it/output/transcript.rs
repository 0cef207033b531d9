//! Transcripts: commands, and exactly what they print and how they exit.
//!
//!     # a remark
//!     % a line of shell that makes something ready; it must succeed, and what it prints does not matter
//!     > what goes on from the line above
//!     $ a line of shell whose output is pinned
//!     a line of standard output
//!     ! a line of standard error
//!     ? the exit status, where it is not 0
//!
//! An empty line separates; one that was printed is a lone `|`, and `| ` stands before a line of output that would
//! look like one of the above. `LATTICE_TEST_BLESS=1` writes down what is printed now.

use std::fmt::Write;
use std::path::PathBuf;

use fs_err as fs;

use super::settle::settle;
use crate::harness::binaries::{variable, workspace};
use crate::harness::call::Finished;
use crate::harness::sandbox::Sandbox;

/// For `%` lines: waits for what no file announces, without a sleep of a length that somebody had to guess.
const AWAIT: &str = r#"await() { until "$@" >/dev/null 2>&1; do sleep 0.01; done; }"#;

pub(super) fn folder() -> PathBuf {
    workspace().join("tests/it/output")
}

/// Runs every command of the file again and compares.
#[track_caller]
pub(super) fn replay(name: &str, sandbox: Sandbox) {
    let path = folder().join(format!("{name}.txt"));
    let expected = fs::read_to_string(&path).expect("a transcript is a file");
    let mut printed = String::new();
    for step in steps(&expected) {
        printed += &run(&sandbox, step);
    }
    if variable("LATTICE_TEST_BLESS").is_some() {
        fs::write(&path, printed).expect("the sources are writable");
    } else if let Some(difference) = difference(&expected, &printed) {
        panic!("{}: {difference}\nLATTICE_TEST_BLESS=1 writes it down", path.display());
    }
}

enum Step<'a> {
    /// A remark, or an empty line.
    Text(&'a str),
    Ready(Vec<&'a str>),
    Shown(Vec<&'a str>),
}

/// What was printed the last time is passed over.
fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for line in text.lines() {
        match (line.get(..2), steps.last_mut()) {
            (Some("$ "), _) => steps.push(Step::Shown(vec![line])),
            (Some("% "), _) => steps.push(Step::Ready(vec![line])),
            (Some("# "), _) => steps.push(Step::Text(line)),
            (Some("> "), Some(Step::Shown(lines) | Step::Ready(lines))) => lines.push(line),
            _ if line.is_empty() => steps.push(Step::Text(line)),
            _ => {}
        }
    }
    steps
}

/// The step as it would stand in the file.
fn run(sandbox: &Sandbox, step: Step<'_>) -> String {
    let (lines, shown) = match step {
        Step::Text(line) => return format!("{line}\n"),
        Step::Ready(lines) => (lines, false),
        Step::Shown(lines) => (lines, true),
    };
    let typed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let script: Vec<&str> = lines.iter().map(|line| &line[2..]).collect();
    let script = script.join("\n");
    if !shown {
        let done = sandbox.program(["bash", "-ec", &format!("{AWAIT}\n{script}")]).run().ok();
        // Identifiers are numbered in the order in which they appear.
        sandbox.normal(&done.stdout);
        return typed;
    }
    typed + &told(sandbox, &sandbox.program(["bash", "-c", &script]).run())
}

fn told(sandbox: &Sandbox, finished: &Finished) -> String {
    let normal = |text: &str| settle(&sandbox.normal(text), &sandbox.tails());
    let mut told = String::new();
    let stdout = normal(&finished.stdout);
    for line in stdout.split_inclusive('\n') {
        let (line, end) =
            line.strip_suffix('\n').map_or((line, "(no line end)\n"), |line| (line, "\n"));
        let marks = ["$ ", "% ", "> ", "! ", "? ", "# ", "|"];
        let mark = match line {
            "" => "|",
            _ if marks.iter().any(|mark| line.starts_with(mark)) => "| ",
            _ => "",
        };
        told.extend([mark, line, end]);
    }
    for line in normal(&finished.stderr).lines() {
        writeln!(told, "! {line}").expect("a string takes everything");
    }
    match (finished.code, finished.signal) {
        (Some(0), _) => {}
        (Some(code), _) => writeln!(told, "? {code}").expect("a string takes everything"),
        (None, signal) => writeln!(told, "? signal {signal:?}").expect("a string takes everything"),
    }
    told.replace('\u{1b}', "␛")
}

/// The first place where they part, with the command that it belongs to.
fn difference(expected: &str, printed: &str) -> Option<String> {
    let (mut old, mut new) = (expected.lines(), printed.lines());
    let mut command = "";
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (None, None) => return None,
            (one, other) if one == other => {
                command = one.filter(|line| line.starts_with(['$', '%'])).unwrap_or(command);
            }
            (one, other) => {
                let rest: Vec<&str> = other.into_iter().chain(new).take(20).collect();
                return Some(format!(
                    "line {number}, behind `{command}`\nexpected: {}\nprinted:\n{}",
                    one.unwrap_or("nothing more"),
                    rest.join("\n")
                ));
            }
        }
    }
}
