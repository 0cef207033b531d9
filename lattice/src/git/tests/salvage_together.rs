//! Two enders that save one worktree at the same time, as they may where locks prove nothing.

use std::io;
use std::process::Command;
use std::time::Duration;

use super::fixture::Blocking;
use super::run::Run;
use crate::git::salvage::{Salvage, preserved_ref};
use crate::process::helper::{HelperOutput, Helpers};

/// Another one saves everything just before the first git of this subcommand.
struct Beside<'a, F: Fn()> {
    subcommand: &'static str,
    run: &'a Run,
    before: Option<F>,
}

impl<F: Fn()> Helpers for Beside<'_, F> {
    fn run(
        &mut self,
        command: Command,
        stdin: Option<Vec<u8>>,
        limit: Duration,
    ) -> io::Result<HelperOutput> {
        if command.get_args().any(|argument| argument == self.subcommand)
            && let Some(before) = self.before.take()
        {
            before();
            self.run.saved();
        }
        Blocking.run(command, stdin, limit)
    }
}

fn saved_beside(run: &Run, subcommand: &'static str, before: impl Fn()) {
    let mut beside = Beside { subcommand, run, before: Some(before) };
    let whole = Salvage { preserved_ref: Some(preserved_ref(&run.id)), veto: None };
    assert_eq!(run.save_with(&mut beside), whole, "beside {subcommand}");
    assert!(beside.before.is_none(), "nobody came to {subcommand}");
}

#[test]
fn both_arrive_at_one_commit() {
    for subcommand in ["read-tree", "add", "ls-files", "write-tree", "commit-tree", "update-ref"] {
        let run = Run::new();
        run.write("a.txt", "two\n");
        saved_beside(&run, subcommand, || {});
        assert_eq!((run.preserved("a.txt"), run.parents()), ("two".into(), vec![run.base.clone()]));
    }
}

/// The first has its tree already as the second finds more; the ref keeps both.
#[test]
fn what_the_other_has_kept_is_not_replaced() {
    let run = Run::new();
    run.write("a.txt", "two\n");
    saved_beside(&run, "update-ref", || run.write("a.txt", "three\n"));
    let parents = run.parents();
    let kept: Vec<_> = parents[1..].to_vec();
    assert_eq!(run.preserved("a.txt"), "two");
    assert_eq!(run.project.git(&["show", &format!("{}:a.txt", kept[0])]), "three");
}
