//! Which files each command syncs, and in which order: what is on disk when it answers. No more than that, because a
//! sync is the dearest thing that a command does.

use crate::harness::call::Call;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::strace;
use crate::harness::waiting::skipped;

/// The files that were synced, below `.lattice`: temporary ones as `DIRECTORY/*`.
#[track_caller]
fn synced(sandbox: &Sandbox, call: Call) -> Vec<String> {
    let (finished, trace) =
        strace::told(sandbox, call, &["-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync"]);
    finished.ok();
    let dir = format!("{}/", sandbox.lattice_dir().display());
    let paths = trace.lines().filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0));
    let below = paths.map(|path| path.strip_prefix(&dir).unwrap_or(path).to_owned());
    below
        .map(|path| match path.split_once(".tmp.") {
            Some((directory, _)) => sandbox.normal(&format!("{directory}*")),
            None => sandbox.normal(&path),
        })
        .collect()
}

#[test]
fn each_command_syncs_what_it_has_written_and_nothing_else() {
    let sandbox = Sandbox::new();
    if !strace::available(&sandbox) {
        return skipped("each_command_syncs_what_it_has_written", "strace may not trace here");
    }
    let check = |words: &[&str], expected: &[&str]| {
        assert_eq!(synced(&sandbox, sandbox.lattice(words.iter().copied())), expected, "{words:?}");
    };
    // The line, the snapshot, and the directory in which that has its name.
    check(
        &["comment", "LAT-1", "words", "--actor", ACTOR],
        &["events/<task1>.jsonl", "tasks/*", "tasks"],
    );
    check(
        &["status", "LAT-1", "in_planning", "--actor", ACTOR],
        &["events/<task1>.jsonl", "tasks/*", "tasks"],
    );
    // The number, before it is anybody's; the log and its name; the copy of its line; the snapshot.
    check(
        &["create", "Second task", "--actor", ACTOR],
        &[
            "*",
            "$DIR/.lattice",
            "events/<task2>.jsonl",
            "events",
            "events/_lifecycle.jsonl",
            "tasks/*",
            "tasks",
        ],
    );
    // Copies first, then the line, and only then are the names of the old files taken away.
    check(
        &["archive", "LAT-1", "--actor", ACTOR],
        &[
            "archive/events/*",
            "archive/tasks/*",
            "events/<task1>.jsonl",
            "events/_lifecycle.jsonl",
            "archive/events",
            "archive/tasks",
            "tasks",
            "events",
            "archive/plans",
            "plans",
        ],
    );
    check(
        &["unarchive", "LAT-1", "--actor", ACTOR],
        &[
            "events/*",
            "tasks/*",
            "archive/events/<task1>.jsonl",
            "events/_lifecycle.jsonl",
            "events",
            "tasks",
            "archive/tasks",
            "archive/events",
            "plans",
            "archive/plans",
        ],
    );
    check(&["list"], &[]);
    check(&["show", "LAT-1"], &[]);
    sandbox.fake_worker("Work", &["exit=0"]);
    // The first one names the store, too.
    sandbox.run_to_end("Work");
    // The run's directory before anybody sees it, and the line. Its copy is whole, which is enough beside the line.
    check(
        &["worker", "run", "Work", "LAT-1"],
        &[
            "runs/.new-<ev1>/spec.json",
            "runs/.new-<ev1>",
            "runs",
            "events/<task1>.jsonl",
            "tasks/*",
            "tasks",
        ],
    );
}
