//! Logs and directories that go away under a run, as git and archives make them go: the end is not lost.

use fs_err as fs;

use serde_json::json;

use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

/// Makes every open run of a `.lattice` one whose time is over, as far as its log says.
pub fn late(sandbox: &Sandbox, lattice: &str) {
    let limit = r#""timeout_minutes":"#;
    sandbox.sh(&format!("sed -i 's/{limit}10,/{limit}0.0001,/' {lattice}/events/task_*.jsonl"));
    sandbox.sh(&format!("grep -q '{limit}0.0001,' {lattice}/events/task_*.jsonl"));
}

#[test]
fn f10_the_end_of_an_archived_task_goes_where_its_history_is() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    crate::tracker_refusals::archive(&sandbox);
    main.tell("exit 3");
    let log = sandbox.lattice_dir().join(format!("archive/events/{}.jsonl", sandbox.task));
    eventually("the end is in the archive", SOON, || {
        let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
        let ends = text.matches("\"type\":\"process_failed\"").count();
        if ends == 1 && text.starts_with("{\"actor\":\"human:ana\"") { Ok(()) } else { Err(text) }
    });
    sandbox.assert_clean();
    assert!(
        !sandbox.lattice_dir().join(format!("events/{}.jsonl", run.task)).exists(),
        "no second log is made"
    );
}

#[test]
fn f10_a_log_that_is_gone_is_not_made_anew() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let before = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    main.tell("exit 3");
    assert!(run.record().to_string().contains("process_failed"), "the end stays in the record");
    sandbox.assert_clean();
    assert!(!log.exists());
    // The log comes back, as after a branch switch; so does the end.
    fs::write(&log, before).unwrap();
    sandbox.lattice(["worker", "ps"]).run().ok();
    assert_eq!(run.ended()["data"]["exit_code"], 3);
}

#[test]
fn f8_a_start_that_git_took_back_is_brought_again_with_its_end() {
    let sandbox = Sandbox::new();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let before = fs::read(&log).unwrap();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    // As after a stash or a reset: the log of before the run.
    fs::write(&log, &before).unwrap();
    main.tell("exit 3");
    assert_eq!(run.ended()["data"]["exit_code"], 3);
    assert_eq!(sandbox.assert_runs_ended(), 1);
    sandbox.assert_clean();
}

#[test]
fn f5_a_directory_that_is_cleaned_away_under_a_live_run_costs_no_end() {
    // The second takes the store's name, too; the first leaves only a process that carries the run's.
    for clean in ["rm -r .lattice/runs/ev_*", "git clean -fdxq"] {
        let sandbox = Sandbox::new();
        sandbox.worker("Work", json!({"command": sandbox.fake(&["connect=main", "wait"])}));
        let run = sandbox.start("Work");
        let main = sandbox.socket.peer("main");
        sandbox.sh(clean);
        assert!(!run.directory().exists());
        late(&sandbox, ".lattice");
        sandbox.lattice(["list"]).run().ok();
        sandbox.lattice(["worker", "reap"]).run().ok();
        assert!(!main.is_dead() && run.terminal().is_none(), "it lives, whatever is missing");
        main.tell("exit 3");
        let end = run.ended();
        assert_eq!(
            (&end["data"]["reason"], &end["data"]["exit_code"]),
            (&json!("exited"), &json!(3)),
            "{clean}"
        );
        sandbox.assert_clean();
        assert_eq!(sandbox.assert_runs_ended(), 1);
    }
}

#[test]
fn m6_an_end_that_git_took_back_is_brought_again_and_not_made_up() {
    let sandbox = Sandbox::new();
    sandbox.fake_worker("Work", &["connect=main", "wait"]);
    let run = sandbox.start("Work");
    let main = sandbox.socket.peer("main");
    sandbox.commit("While it runs");
    main.tell("exit 3");
    let end = run.ended();
    sandbox.assert_clean();
    let log = sandbox.lattice_dir().join(format!("events/{}.jsonl", sandbox.task));
    let before = fs::read(&log).unwrap();
    // Log and snapshot are those of the commit again: the run is open, and nobody runs it.
    sandbox.git(["checkout", "-q", "--", ".lattice"]);
    assert!(run.terminal().is_none());
    sandbox.lattice(["worker", "ps"]).run().ok();
    assert_eq!(run.ended(), end);
    assert!(fs::read(&log).unwrap() == before, "the very bytes: git can merge what is equal");
    assert_eq!(sandbox.assert_runs_ended(), 1);
}
