//! `worker ps` as a person sees it, `--watch`, and the line that is shown while a command waits.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::call::Call;
use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::screen::Screen;
use crate::harness::waiting::{SOON, eventually};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A sandbox with one run that prints and waits.
fn with_run(print: &str) -> (Sandbox, crate::harness::socket::Peer) {
    let sandbox = Sandbox::new();
    let step = format!("print={print}");
    sandbox.fake_worker("Check", &["print=first", &step, "connect=main", "wait"]);
    let run = sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    // What the engine has printed is in the pipe; the log has it a moment later.
    eventually("the output is in the log", SOON, || {
        let log = run.log();
        if log.contains(print) { Ok(()) } else { Err(log) }
    });
    drop(run);
    (sandbox, main)
}

fn ps(sandbox: &Sandbox, words: &[&str]) -> Call {
    sandbox.lattice(["worker", "ps"].iter().chain(words).copied())
}

/// Escape sequences are none of a text's columns.
fn plain(shown: &str) -> String {
    let mut out = String::new();
    let mut rest = shown;
    while let Some(at) = rest.find("\u{1b}[") {
        out += &rest[..at];
        let behind = &rest[at + 2..];
        let end =
            behind.find(|c: char| c.is_ascii_alphabetic()).map_or(behind.len(), |end| end + 1);
        rest = &behind[end..];
    }
    (out + rest).replace('\r', "")
}

#[test]
fn in_a_pipe_there_is_a_plain_table() {
    let (sandbox, main) = with_run("\u{1b}[32mtests pass\u{1b}[0m");
    let listed = ps(&sandbox, &[]).run().ok().silent();
    let lines: Vec<&str> = listed.stdout.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let headings = ["TASK", "WORKER", "STATE", "AGE", "LEFT", "RUN", "COMMIT", "LAST", "OUTPUT"];
    assert_eq!(words(lines[0]), headings, "{listed}");
    let row = words(lines[1]);
    assert_eq!(row[..3], ["LAT-1", "Check", "running"], "{listed}");
    assert!(lines[1].ends_with("  tests pass") && lines.len() == 2, "{listed}");
    // Every cell begins where its heading does.
    for (heading, text) in [("WORKER", "Check"), ("STATE", "running"), ("LAST", "tests pass")] {
        assert_eq!(lines[0].find(heading), lines[1].find(text), "{listed}");
    }
    assert!(!listed.stdout.contains('\u{1b}'), "no colour in a pipe: {listed}");
    main.tell("exit 3");
    main.wait_dead(SOON);
    sandbox.lattice(["worker", "wait", "LAT-1"]).run().exits(4);
    let all = ps(&sandbox, &["--all"]).run().ok().silent();
    assert!(all.stdout.contains("failed after 0s: exited"), "{all}");
    assert!(all.stdout.lines().nth(1).unwrap().ends_with("  exited 3"), "{all}");
    assert!(!all.stdout.contains("LEFT") && !all.stdout.contains("COST"), "empty columns: {all}");
}

#[test]
fn on_a_terminal_it_has_colour_and_fits() {
    let (sandbox, main) = with_run(&"wide \u{65e5}\u{672c} ".repeat(40));
    for columns in [30, 80, 120] {
        let (status, shown) = Screen::start(ps(&sandbox, &[]), columns).finish();
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("\u{1b}[32mrunning"), "{shown}");
        for line in plain(&shown).lines() {
            let wide = line.chars().map(|c| if c >= '\u{1100}' && c != '\u{2026}' { 2 } else { 1 });
            // U+2026 stands for what was cut off; it takes one column.
            assert!(wide.sum::<usize>() <= columns.into(), "{columns}: {line:?}");
        }
    }
    let (_, shown) = Screen::start(ps(&sandbox, &[]).env("NO_COLOR", "1"), 100).finish();
    assert!(shown.contains("running") && !shown.contains('\u{1b}'), "{shown}");
    main.tell("exit 0");
}

#[test]
fn watch_draws_again_and_gives_the_screen_back() {
    let (sandbox, main) = with_run("hello");
    let mut screen = Screen::start(ps(&sandbox, &["--watch"]), 100);
    let first = screen.until("hello");
    assert!(first.starts_with(ENTER), "{first:?}");
    main.tell("exit 0");
    let shown = screen.until("No active worker processes.");
    assert!(!shown.contains(LEAVE), "{shown:?}");
    screen.press("\u{3}");
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(0), "{shown}");
    let (_, left) = shown.rsplit_once(LEAVE).expect("the first screen is back");
    assert!(shown.contains("\u{1b}[?25l") && shown.contains("\u{1b}[?25h"), "{shown:?}");
    assert_eq!(left.trim(), "No active worker processes.", "the last list stays");
}

#[test]
fn watch_needs_a_terminal() {
    let sandbox = Sandbox::new();
    for words in [&["--watch"][..], &["--watch", "--json"]] {
        let refused = ps(&sandbox, words).run().exits(2).stdout("");
        assert!(refused.stderr.contains("terminal"), "{refused}");
    }
}

#[test]
fn a_wait_shows_that_it_waits_but_only_on_a_terminal() {
    let (sandbox, main) = with_run("hello");
    let wait = || sandbox.lattice(["worker", "wait", "LAT-1"]);
    let watching = Screen::start(wait(), 60);
    let piped = wait().start();
    let shown = watching.until("Check runs for ");
    assert!(shown.contains("left; Ctrl-C only"), "{shown:?}");
    watching.until("\r\u{1b}[KCheck runs for ");
    main.tell("exit 0");
    let (status, shown) = watching.finish();
    assert_eq!(status, Some(0), "{shown}");
    let (_, last) = shown.rsplit_once("\u{1b}[K").expect("the line is wiped");
    assert!(last.starts_with("Worker Check completed"), "{shown:?}");
    for line in plain(&shown.replace("\r\u{1b}[K", "\n")).lines() {
        assert!(line.chars().count() < 120, "{line:?}");
    }
    piped.finish().ok().silent();
}

#[test]
fn archiving_says_whose_end_it_waits_for() {
    let sandbox = Sandbox::new();
    sandbox.worker(
        "Check",
        json!({"command": sandbox.fake(&["ignore=TERM", "connect=main", "wait"]), "grace_seconds": 600}),
    );
    sandbox.start("Check");
    let main = sandbox.socket.peer("main");
    let words = ["archive", "LAT-1", "--force", "--actor", ACTOR];
    let screen = Screen::start(sandbox.lattice(words), 100);
    screen.until("ending the runs of task_");
    main.kill();
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(0), "{shown}");
    let (_, last) = shown.rsplit_once("\u{1b}[K").expect("the line is wiped");
    assert!(last.starts_with("Archived task"), "{shown:?}");
    sandbox.assert_clean();
}

#[test]
fn a_write_that_waits_for_a_lock_says_so() {
    let sandbox = Sandbox::new();
    let key = format!(".lattice/locks/events_{}.lock", sandbox.task);
    let lock = format!("lock={}", sandbox.project.join(key).display());
    let holder = sandbox.start_fake(&[&lock, "connect=holder", "wait"]);
    let peer = sandbox.socket.peer("holder");
    let comment = sandbox.lattice(["comment", "LAT-1", "x", "--actor", ACTOR]);
    let screen = Screen::start(comment, 100);
    screen.until("another process may hold its lock");
    peer.tell("exit 0");
    holder.finish().ok();
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("Comment added"), "{shown:?}");
}

#[test]
fn an_interrupt_reaches_the_wait_and_not_its_line() {
    let (sandbox, main) = with_run("hello");
    let mut screen = Screen::start(sandbox.lattice(["worker", "wait", "LAT-1"]), 100);
    screen.until("Check runs for ");
    screen.press("\u{3}");
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(130), "{shown}");
    assert!(shown.contains("lattice worker stop"), "{shown}");
    assert!(!main.is_dead(), "the run goes on");
    main.signal(Signal::KILL);
}

#[test]
fn the_json_of_ps_is_what_it_was() {
    let (sandbox, main) = with_run("hello");
    let rows = ps(&sandbox, &["--json"]).run().ok().silent().data();
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    let expected = [
        "age_seconds",
        "archived",
        "commit_sha",
        "engine_pid",
        "log_bytes",
        "log_path",
        "process_type",
        "remaining_seconds",
        "run",
        "short_id",
        "started_at",
        "started_event_id",
        "state",
        "supervisor_pid",
        "task_id",
        "title",
    ];
    assert_eq!(keys, expected);
    assert_eq!(rows[0]["state"], json!("running"));
    main.tell("exit 0");
}

/// From the append to the answer nothing of the terminal may take the command away, and its line neither.
#[test]
fn s20_an_interrupt_waits_while_a_start_is_written() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["connect=main", "wait"]);
    let key = format!(".lattice/locks/events_{}.lock", sandbox.task);
    let lock = format!("lock={}", sandbox.project.join(key).display());
    let holder = sandbox.start_fake(&[&lock, "connect=holder", "wait"]);
    let peer = sandbox.socket.peer("holder");
    let mut screen = Screen::start(sandbox.lattice(["worker", "run", "Check", "LAT-1"]), 100);
    screen.until("starting Check on LAT-1");
    screen.press("\u{3}");
    screen.until("^C");
    peer.tell("exit 0");
    holder.finish().ok();
    let main = sandbox.socket.peer("main");
    main.tell("exit 0");
    screen.finish();
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
}
