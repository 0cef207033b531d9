//! One test for each transcript, in the project that it needs.

use super::transcript::{self, replay};
use crate::harness::sandbox::Sandbox;

/// One test for each file, in a project that is made by the function.
macro_rules! transcripts {
    ($($name:ident: $make:path;)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), $make());
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    comments: Sandbox::new;
    init: Sandbox::empty;
    relations: Sandbox::new;
    shim: Sandbox::new;
    tasks: Sandbox::new;
    upkeep: uncoded;
    usage: Sandbox::empty;
    worker_define: Sandbox::new;
    worker_full: Sandbox::new;
    worker_reap: Sandbox::new;
    worker_run: Sandbox::new;
    worker_watch: Sandbox::new;
    worker_words: Sandbox::new;
    worker_work: Sandbox::new;
    workflow: Sandbox::without_git;
}

/// `.lattice` without a project code.
fn uncoded() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.lattice(["init"]).run().ok();
    sandbox
}

#[test]
fn every_transcript_is_replayed() {
    let mut files: Vec<String> = fs_err::read_dir(transcript::folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
        .collect();
    files.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(files, names);
}
