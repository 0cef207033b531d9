//! Somebody's `git gc` while a worktree is saved.

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Blocking, write};
use super::run::Run;
use crate::git::salvage::{Salvage, preserved_ref};
use crate::process::helper::{HelperOutput, Helpers};

/// A collection that ends some time after the ref is there, and must have ended before the last look.
struct Collecting(PathBuf);

impl Helpers for Collecting {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        let has = |word: &str| command.get_args().any(|argument| argument == word);
        let (keeps, looks) = (has("update-ref"), has("rev-list") && has("--objects"));
        assert!(!looks || !self.0.exists(), "a look beside a collection");
        let output = Blocking.run(command, stdin, limit);
        if keeps {
            let gc_pid = self.0.clone();
            drop(thread::spawn(move || {
                thread::sleep(Duration::from_millis(200));
                drop(fs_err::remove_file(gc_pid));
            }));
        }
        output
    }
}

#[test]
fn the_last_look_waits_for_a_collection() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    let gc_pid = run.project.top.join(".git/gc.pid");
    write(&gc_pid, format!("{} here", std::process::id()));
    let whole = Salvage { preserved_ref: Some(preserved_ref(&run.id)), veto: None };
    assert_eq!(run.save_with(&mut Collecting(gc_pid)), whole);
}

#[test]
fn one_that_was_killed_is_not_waited_for() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    write(&run.project.top.join(".git/gc.pid"), format!("{} here", i32::MAX));
    let begin = Instant::now();
    run.saved();
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}
