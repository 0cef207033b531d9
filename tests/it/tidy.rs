//! House rules as tests: what may import what, how long a file may be, what no source may contain.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::harness::binaries::workspace;

/// Lines that no file may exceed. The aim is 300.
const MAX_LINES: usize = 400;

/// What the files below a folder may name with `crate::` or `lattice::`. The longest matching folder decides.
const ALLOWED: &[(&str, &[&str])] = &[
    ("lattice/src/model", &["model"]),
    ("lattice/src/storage", &["model", "storage"]),
    ("lattice/src/process", &["model", "process"]),
    ("lattice/src/git", &["model", "process", "git"]),
    ("lattice/src/runs", &["model", "storage", "process", "git", "runs"]),
    ("lattice/src/render", &["model", "storage", "runs", "render"]),
    ("lattice/src/cli", &["model", "storage", "process", "git", "runs", "render", "cli"]),
    ("lattice/src/main.rs", &["model", "cli"]),
];

const MODULES: [&str; 7] = ["model", "storage", "process", "git", "runs", "render", "cli"];

/// Words that no source may contain, spelt so that this file does not contain them either.
const FORBIDDEN: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X "),
    concat!("dbg", "!("),
    concat!("unsafe", " {"),
];

pub struct Source {
    /// Relative to the workspace, such as `lattice/src/main.rs`.
    name: String,
    pub text: String,
}

pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for package in ["lattice/src", "lattice-shim/src", "tests"] {
        collect(&workspace().join(package), &mut found);
    }
    assert!(found.len() > 30, "the walk finds the sources");
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(workspace()).unwrap().display().to_string();
            found.push(Source { name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Each line of every source for which `wrong` gives a reason.
#[track_caller]
fn check(wrong: impl Fn(&Source, &str) -> Option<String>) {
    let mut complaints = String::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if let Some(reason) = wrong(&source, line) {
                writeln!(complaints, "{}:{}: {reason}", source.name, number + 1).unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn imports_go_in_one_direction() {
    check(|source, line| {
        let code = line.split("//").next().unwrap_or_default();
        let (_, allowed) = ALLOWED
            .iter()
            .filter(|(folder, _)| source.name.starts_with(folder))
            .max_by_key(|(folder, _)| folder.len())
            .copied()
            .or_else(|| source.name.starts_with("lattice-shim/").then_some(("", &MODULES[..5])))?;
        let named = MODULES.iter().filter(|module| names(code, module));
        let wrong: Vec<_> = named.filter(|module| !allowed.contains(module)).collect();
        (!wrong.is_empty()).then(|| format!("may not use {wrong:?}: {}", line.trim()))
    });
}

/// Whether a line names a module of the library: `crate::x`, `lattice::x`, or `x` in the braces behind them.
fn names(code: &str, module: &str) -> bool {
    let mut rest = code;
    while let Some(at) =
        rest.find("crate::").map(|at| at + 7).or_else(|| rest.find("lattice::").map(|at| at + 9))
    {
        rest = &rest[at..];
        let words: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split(['}', ';']).next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        let begins = |word: &str| {
            let word = word.trim();
            word.strip_prefix(module).is_some_and(|behind| {
                !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            })
        };
        if words.into_iter().any(begins) {
            return true;
        }
    }
    false
}

#[test]
fn the_import_check_can_fail() {
    assert!(names("use crate::runs::finish;", "runs"));
    assert!(names("use lattice::{model, runs};", "runs"));
    assert!(names("let x = crate::runs::finish();", "runs"));
    assert!(!names("use crate::model::run::Spec;", "runs"));
    assert!(!names("use crate::runs_of::x;", "runs"));
}

#[test]
fn files_are_short() {
    let long: Vec<_> =
        sources().into_iter().filter(|source| source.text.lines().count() > MAX_LINES).collect();
    let named: Vec<_> = long
        .iter()
        .map(|source| format!("{}: {}", source.name, source.text.lines().count()))
        .collect();
    assert!(named.is_empty(), "{named:#?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|source| !source.text.starts_with("//! ")).collect();
    let named: Vec<_> = silent.iter().map(|source| &source.name).collect();
    assert!(named.is_empty(), "{named:#?}");
}

#[test]
fn a_mod_rs_is_a_list() {
    // `cli/mod.rs` is the enum of the commands and the match over them; a folder of tests shares its set-up there.
    let is_list = |source: &Source| {
        let name = &source.name;
        name.ends_with("/mod.rs")
            && name != "lattice/src/cli/mod.rs"
            && !name.ends_with("/tests/mod.rs")
    };
    for source in sources().into_iter().filter(is_list) {
        let code: String =
            source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for item in code.split_inclusive(';').map(str::trim).filter(|item| !item.is_empty()) {
            let item = item
                .strip_prefix("#[cfg")
                .and_then(|rest| rest.split_once(']'))
                .map_or(item, |(_, rest)| rest);
            let words: Vec<_> = item.split_whitespace().take(2).collect();
            let fits = words.contains(&"mod") || words.contains(&"use");
            assert!(fits && item.ends_with(';'), "{}: {item}", source.name);
        }
    }
}

#[test]
fn nothing_unfinished_and_nothing_unsafe() {
    check(|_, line| {
        FORBIDDEN.iter().find(|word| line.contains(**word)).map(|word| format!("contains {word}"))
    });
}

#[test]
fn the_library_does_not_print_exit_or_read_the_environment() {
    check(|source, line| {
        let is_library = ALLOWED[..5].iter().any(|(folder, _)| source.name.starts_with(folder));
        // Unit tests stand at the end of a file, behind their attribute.
        let is_test =
            source.text.find("#[cfg(test)]").is_some_and(|at| source.text[at..].contains(line));
        let words = ["println!", "eprintln!", "print!(", "process::exit", "env::var", "env::args"];
        let found = words
            .iter()
            .find(|word| line.contains(**word) && !line.trim_start().starts_with("//"))?;
        (is_library && !is_test && !source.name.contains("/tests"))
            .then(|| format!("contains {found}"))
    });
}

/// Attack M11: a clock that is set, or a lid that was closed, ends nothing.
#[test]
fn m11_supervisors_decide_nothing_by_the_wall_clock() {
    check(|source, line| {
        // Beside the time of day that a person is shown as the engine's deadline.
        let is_shown = source.name.ends_with("/launch.rs");
        let is_supervisor = source.name.starts_with("lattice-shim/src/") && !is_shown;
        (is_supervisor && line.contains("SystemTime"))
            .then(|| "asks for the time of day".to_owned())
    });
}

#[test]
fn storage_is_the_only_writer() {
    check(|source, line| {
        let is_reader = ["lattice/src/cli", "lattice/src/render"]
            .iter()
            .any(|folder| source.name.starts_with(folder));
        let words = ["fs::write(", "fs::rename(", "fs::remove_", "File::create", "OpenOptions"];
        let found = words.iter().find(|word| line.contains(**word))?;
        is_reader.then(|| format!("contains {found}"))
    });
}

#[test]
fn every_module_of_the_tests_is_in_the_plan() {
    let main = fs::read_to_string(workspace().join("tests/it/main.rs")).unwrap();
    for entry in fs::read_dir(workspace().join("tests/it")).unwrap() {
        let name = entry.unwrap().file_name().display().to_string();
        let module = name.trim_end_matches(".rs");
        assert!(
            module == "main" || main.contains(&format!("\nmod {module};\n")),
            "{name} is not in main.rs"
        );
    }
}
