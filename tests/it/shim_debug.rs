//! `lattice-shim debug`: the foreground run of a definition, what it tells, what it leaves, and its keys.

use std::time::Duration;

use fs_err as fs;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::call::Call;
use crate::harness::sandbox::Sandbox;
use crate::harness::screen::Screen;
use crate::harness::waiting::SOON;

fn debug(sandbox: &Sandbox, words: &[&str]) -> Call {
    let shim = binaries::directory().join("lattice-shim").display().to_string();
    let argv = [shim.as_str(), "debug"].into_iter().chain(words.iter().copied());
    sandbox.program(argv.map(str::to_owned).collect::<Vec<_>>())
}

/// The record that stands at the end of what was told.
fn record(told: &str) -> Value {
    let (_, behind) = told.split_once("recorded").expect("a line about the record");
    let begin = behind.find("{").expect("a record");
    let mut values = serde_json::Deserializer::from_str(&behind[begin..]).into_iter();
    values.next().expect("one value").expect("the record is JSON")
}

#[test]
fn it_tells_everything_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let steps = ["print=hello", "eprint=trouble", "connect=main", "wait"];
    let definition = json!({
        "command": sandbox.fake(&steps), "worktree": true, "setup": ["echo setting up"],
        "env": {"set": {"CHOSEN": "sky-blue"}}, "timeout_minutes": 3,
    });
    sandbox.worker("Check", definition);
    let before = sandbox.tree();
    let call = debug(&sandbox, &["workers/check.json"]);
    let running = call.env("CLAUDECODE", "value-of-it").env("HTTP_PROXY", "proxy-of-it").start();
    let main = sandbox.socket.peer("main");
    assert_eq!(main.parent().pid, running.process().pid, "there is nobody in between");
    main.tell("exit 0");
    let finished = running.finish().ok().stdout("setting up\nhello\ntrouble\n");
    let told = sandbox.normal(&finished.stderr);
    for line in [
        "Task:        none, a placeholder stands for it",
        "Worker:      Check (workers/check.json)",
        "Worktree:    $DIR/.lattice/worktrees/",
        "Commit:      <sha>",
        "Limits:      time 3m, grace 10s",
        "Setup:       echo setting up",
        "  without CLAUDECODE: ",
        "--- not recorded, but would have been:",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let with = told.lines().find(|line| line.starts_with("  with ")).unwrap();
    assert!(with.contains("CHOSEN") && with.contains("LATTICE_REPORT"), "{with}");
    for value in ["value-of-it", "proxy-of-it", "sky-blue"] {
        assert!(!told.contains(value), "no values: {told}");
    }
    let record = record(&finished.stderr);
    assert_eq!(record["type"], "process_completed", "{record}");
    assert_eq!(
        (&record["data"]["exit_code"], &record["data"]["ended_by"]),
        (&json!(0), &json!("shim"))
    );
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 0);
    assert_eq!(sandbox.git(["for-each-ref", "refs/lattice"]), "");
}

#[test]
fn a_draft_need_not_be_in_workers() {
    let sandbox = Sandbox::new();
    let draft = sandbox.base.join("draft.json");
    let text = json!({"name": "Draft", "command": "echo $LATTICE_TASK_ID; exit 3"}).to_string();
    fs::write(&draft, text).unwrap();
    let draft = draft.to_str().unwrap();
    let hooks = json!({"post_event": format!("touch {}/hooked", sandbox.base.display())});
    sandbox.configure("hooks", hooks);
    let before = sandbox.tree();
    // From a directory below, with a task whose log then has nothing new.
    fs::create_dir_all(sandbox.project.join("workers")).unwrap();
    let call = debug(&sandbox, &[draft, "--task", "lat-1"]);
    let finished = call.current_dir(sandbox.project.join("workers")).run().exits(4);
    assert_eq!(finished.stdout, format!("{}\n", sandbox.task));
    let record = record(&finished.stderr);
    assert_eq!(
        (&record["data"]["reason"], &record["data"]["exit_code"]),
        (&json!("exited"), &json!(3))
    );
    fs::remove_dir(sandbox.project.join("workers")).unwrap();
    sandbox.assert_unchanged(&before);
    assert!(!sandbox.base.join("hooked").exists(), "no event, no hook");
    sandbox.assert_clean();
}

/// A terminal is scrolled back, copied and shared.
#[test]
fn s23_secrets_are_shown_to_nobody() {
    let sandbox = Sandbox::new();
    let script = "echo the token is $API_TOKEN; echo it is $API_TOKEN > $LATTICE_REPORT; exit 3";
    sandbox.worker("Check", json!({"command": script}));
    let call = debug(&sandbox, &["workers/check.json"]).env("API_TOKEN", "tulip-4711-planted");
    let finished = call.run().exits(4).stdout("the token is <API_TOKEN>*******\n");
    assert!(!finished.stderr.contains("4711"), "{finished}");
    let line = finished.stderr.lines().find_map(|line| line.strip_prefix("--- its report: "));
    assert_eq!(fs::read_to_string(line.unwrap()).unwrap(), "it is <API_TOKEN>*******\n");
    sandbox.assert_clean();
}

#[test]
fn a_report_is_kept_although_it_becomes_no_artifact() {
    let sandbox = Sandbox::new();
    let definition =
        |steps: &[&str]| json!({"command": sandbox.fake(steps), "artifact_role": "review"});
    sandbox.worker("Check", definition(&["report=All is well."]));
    let finished = debug(&sandbox, &["workers/check.json"]).run().ok();
    let line = finished.stderr.lines().find_map(|line| line.strip_prefix("--- its report: "));
    assert_eq!(fs::read_to_string(line.expect("it is named")).unwrap(), "All is well.");
    let artifacts = fs::read_dir(sandbox.lattice_dir().join("artifacts/meta")).unwrap().count();
    assert_eq!(artifacts, 0, "an artifact without an event would be nobody's");
    sandbox.worker("Check", definition(&["print=nothing else"]));
    let finished = debug(&sandbox, &["workers/check.json"]).run().exits(4);
    assert_eq!(record(&finished.stderr)["data"]["reason"], "deliverable_missing");
    sandbox.assert_clean();
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let sandbox = Sandbox::new();
    sandbox.worker("Wrong", json!({"command": "true", "timeout_minute": 3}));
    sandbox.worker("Lost", json!({"command": ["no-such-program"]}));
    sandbox.worker("Fine", json!({"command": "true"}));
    let before = sandbox.tree();
    for (words, status, said) in [
        (&[][..], 2, "which definition?"),
        (&["workers/fine.json", "--colour"], 2, "--colour"),
        (&["workers/fine.json", "--record"], 2, "--task"),
        (&["workers/none.json"], 1, "workers/none.json"),
        (&["workers/wrong.json"], 1, "timeout_minutes"),
        (&["workers/lost.json"], 1, "no-such-program"),
        (&["workers/fine.json", "--task", "LAT-9"], 1, "LAT-9"),
        (&["workers/fine.json", "--timeout", "8d"], 1, "7 days"),
    ] {
        let refused = debug(&sandbox, words).run().exits(status).stdout("");
        let first = refused.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("Error: ") && first.contains(said), "{said} in {refused}");
        assert!(refused.stderr.contains("\n  hint: ") || status == 1, "{refused}");
        assert!(!refused.stderr.contains("Environment"), "{refused}");
    }
    sandbox.assert_unchanged(&before);
    sandbox.assert_clean();
    let help = debug(&sandbox, &["--help"]).run().ok().silent();
    for word in ["--task", "--record", "--keep-worktree", "--timeout", "Ctrl-C", "Exit status"] {
        assert!(help.stdout.contains(word), "{help}");
    }
    assert!(help.stdout.lines().all(|line| line.len() <= 120), "{help}");
}

#[test]
fn ctrl_c_once_stops_and_twice_kills() {
    let sandbox = Sandbox::new();
    let steps = ["spawn-setsid=daemon", "connect=main", "wait"];
    sandbox.worker("Soft", json!({"command": sandbox.fake(&steps), "worktree": true}));
    let mut screen = Screen::start(debug(&sandbox, &["workers/soft.json"]), 100);
    let peers = ["main", "daemon"].map(|name| sandbox.socket.peer(name));
    screen.until("Ctrl-C stops it");
    screen.press("\u{3}");
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(130), "{shown}");
    assert!(shown.contains("\"reason\": \"stopped\"") && shown.contains("SIGINT"), "{shown}");
    assert!(peers.iter().all(|peer| peer.is_dead()), "{shown}");

    let steps = ["ignore=TERM,INT", "connect=main", "wait"];
    let hard = json!({"command": sandbox.fake(&steps), "worktree": true, "grace_seconds": 600});
    sandbox.worker("Hard", hard);
    let mut screen = Screen::start(debug(&sandbox, &["workers/hard.json"]), 100);
    let main = sandbox.socket.peer("main");
    screen.until("Ctrl-C stops it");
    screen.press("\u{3}");
    screen.until("Ctrl-C again kills");
    assert!(!main.is_dead());
    screen.press("\u{3}");
    let (status, shown) = screen.finish();
    assert_eq!(status, Some(130), "{shown}");
    main.wait_dead(SOON);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn the_worker_has_no_terminal() {
    let sandbox = Sandbox::new();
    let command =
        "tty; exec 3<>/dev/tty && echo has one; ps -o pid=,pgid=,sid= -p $$; ls /proc/self/fd";
    sandbox.worker("Check", json!({"command": command}));
    let (status, shown) = Screen::start(debug(&sandbox, &["workers/check.json"]), 100).finish();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("not a tty") && !shown.contains("\nhas one"), "{shown}");
}

/// S15: a killed debug run leaves a directory, by which the next call finds the rest.
#[test]
fn s15_a_killed_debug_run_is_cleaned_without_an_event() {
    for record in [false, true] {
        let sandbox = Sandbox::new();
        let steps = ["write=made.txt:precious", "spawn-setsid=daemon", "connect=main", "wait"];
        sandbox.worker("Check", json!({"command": sandbox.fake(&steps), "worktree": true}));
        let words = ["workers/check.json", "--task", "LAT-1", "--record"];
        let running = debug(&sandbox, &words[..if record { 4 } else { 3 }]).start();
        let peers = ["main", "daemon"].map(|name| sandbox.socket.peer(name));
        running.process().kill();
        running.process().wait_dead(SOON);
        peers[0].wait_dead(SOON);
        assert!(!peers[1].is_dead(), "nobody stands by");
        drop(running.finish());
        let left = sandbox.traces();
        assert!(left.iter().any(|trace| trace.starts_with("worktree ")), "{left:#?}");
        sandbox.lattice(["worker", "reap"]).run().ok();
        peers[1].wait_dead(SOON);
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), usize::from(record));
        let saved = sandbox.git(["for-each-ref", "--format=%(refname)", "refs/lattice/runs"]);
        assert_eq!(sandbox.git(["show", &format!("{saved}:made.txt")]), "precious");
    }
}

/// The same before anything but the worktree is there: no engine, no identity of one.
#[test]
fn s15_a_debug_run_killed_before_its_worker_leaves_nothing_either() {
    let sandbox = Sandbox::new();
    // A filter of the repository, in which its checkout stays.
    sandbox.write("slow.txt", "text\n");
    sandbox.write(".gitattributes", "slow.txt filter=slow\n");
    sandbox.commit("A file that takes its time");
    let filter = sandbox.fake_line(&["connect=filter", "wait"]);
    sandbox.git(["config", "filter.slow.smudge", &filter]);
    sandbox.worker("Check", json!({"command": "true", "worktree": true}));
    let running = debug(&sandbox, &["workers/check.json"]).start();
    let filter = sandbox.socket.peer("filter");
    running.process().kill();
    drop(running.finish());
    filter.kill();
    sandbox.lattice(["worker", "reap"]).run().ok();
    sandbox.git(["config", "--unset", "filter.slow.smudge"]);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 0);
}

#[test]
fn a_worktree_can_be_kept() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": "echo new > made.txt", "worktree": true}));
    let finished = debug(&sandbox, &["workers/check.json", "--keep-worktree"]).run().ok();
    let line = finished.stderr.lines().find_map(|line| line.strip_prefix("--- its worktree: "));
    let path = line.expect("it is named");
    assert_eq!(fs::read_to_string(format!("{path}/made.txt")).unwrap(), "new\n");
    for command in ["list", "worker"] {
        let words = if command == "list" { &["list"][..] } else { &["worker", "reap"] };
        sandbox.lattice(words.iter().copied()).run().ok();
    }
    let listed = sandbox.git(["worktree", "list", "--porcelain"]);
    assert!(listed.contains(path) && listed.contains("\nlocked lattice ev_"), "{listed}");
    let remove = finished.stderr.lines().find_map(|line| line.split_once("when you are done: "));
    sandbox.sh(remove.expect("how to remove it").1);
    sandbox.assert_clean();
}

#[test]
fn a_recorded_one_is_a_run_like_any_other() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["print=hello", "connect=main", "wait"]);
    let words = ["workers/check.json", "--task", "LAT-1", "--record"];
    let running = debug(&sandbox, &words).start();
    let main = sandbox.socket.peer("main");
    let rows = sandbox.lattice(["worker", "ps", "--json"]).run().ok().data();
    assert_eq!(
        (&rows[0]["state"], &rows[0]["supervisor_pid"]),
        (&json!("running"), &json!(running.process().pid))
    );
    let refused = sandbox.lattice(["worker", "run", "Check", "LAT-1", "--json"]).run();
    refused.refused(3, "ALREADY_RUNNING");
    let refused = debug(&sandbox, &words).run().exits(3);
    assert!(refused.stderr.contains("already running"), "{refused}");
    let stopped = sandbox.lattice(["worker", "stop", "LAT-1", "--json"]).run().ok().data();
    assert!(main.is_dead());
    let finished = running.finish().exits(4).stdout("hello\n");
    assert_eq!(record(&finished.stderr), stopped);
    sandbox.assert_clean();
    assert_eq!(sandbox.assert_runs_ended(), 1);
    sandbox.lattice(["worker", "logs", "LAT-1"]).run().ok().stdout("hello\n");
}

#[test]
fn its_limit_is_enforced_and_a_lost_terminal_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Check", &["connect=main", "wait"]);
    let finished = debug(&sandbox, &["workers/check.json", "--timeout", "1s"]).run().exits(4);
    assert!(finished.elapsed < Duration::from_secs(20), "{finished}");
    assert_eq!(record(&finished.stderr)["data"]["reason"], "timed_out");
    assert_eq!(sandbox.processes(), Vec::<String>::new());
    let running = debug(&sandbox, &["workers/check.json"]).start();
    let main = sandbox.socket.peer("main");
    running.process().signal(Signal::HUP);
    let finished = running.finish().exits(4);
    assert_eq!(record(&finished.stderr)["data"]["ended_by_signal"], "SIGHUP");
    assert!(main.is_dead());
    sandbox.assert_clean();
}
