//! The section "Runs" of `lattice show`, and times as people read them.

use fs_err as fs;
use serde_json::json;

use crate::harness::sandbox::{ACTOR, Sandbox};
use crate::harness::screen::Screen;

/// The lines between "Runs:" and the next empty line, with what changes from run to run taken out.
fn section(sandbox: &Sandbox) -> Vec<String> {
    let shown = sandbox.lattice(["show", "LAT-1"]).run().ok().silent();
    let lines = shown.stdout.lines().skip_while(|line| *line != "Runs:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    lines.map(|line| sandbox.normal(line)).collect()
}

#[test]
fn show_lists_open_and_ended_runs_with_commit_and_drift() {
    let sandbox = Sandbox::new();
    assert_eq!(section(&sandbox), [""; 0], "no section without runs");
    sandbox.worker("Check", json!({"command": "echo hello; exit $(cat status)", "worktree": true}));
    sandbox.write("status", "3\n");
    sandbox.commit("Fail");
    let failed = sandbox.start("Check");
    failed.ended();
    let old = sandbox.git(["rev-parse", "HEAD"]);
    sandbox.write("status", "0\n");
    sandbox.commit("Pass");
    let passed = sandbox.start("Check");
    passed.ended();
    sandbox.worker("Long", json!({"command": sandbox.fake(&["connect=main", "wait"])}));
    sandbox.commit("Again");
    let open = sandbox.start("Long");
    let main = sandbox.socket.peer("main");

    let ids = [&open, &passed, &failed].map(|run| run.id[run.id.len() - 6..].to_owned());
    let shas = ["HEAD", "HEAD~2", &old].map(|rev| sandbox.git(["rev-parse", "--short=8", rev]));
    let lines = section(&sandbox);
    assert_eq!(lines.len(), 6, "{lines:#?}");
    let begin = format!("  Long {}  running for ", ids[0]);
    assert!(lines[0].starts_with(&begin), "{lines:#?}");
    assert!(lines[0].ends_with(&format!(" left, at {} (HEAD)", shas[0])), "{lines:#?}");
    let expected =
        format!("completed after 0s, <time>, at {} (2 commits behind HEAD): exited 0", shas[1]);
    assert_eq!(lines[2], format!("  Check {}  {expected}", ids[1]));
    let expected =
        format!("failed after 0s, <time>, at {} (3 commits behind HEAD): exited 3", shas[2]);
    assert_eq!(lines[4], format!("  Check {}  {expected}", ids[2]));
    for (line, run) in [(1, &open), (3, &passed), (5, &failed)] {
        let path = sandbox.lattice_dir().join(format!("logs/workers/{}.log", run.id));
        assert_eq!(lines[line], sandbox.normal(&format!("    log: {}", path.display())));
    }

    let data = sandbox.lattice(["show", "LAT-1", "--json"]).run().ok().silent().data();
    let runs = &data["runs"];
    assert_eq!((&runs[0]["run"], &runs[0]["state"]), (&json!(open.id), &json!("running")));
    assert_eq!((&runs[0]["commits_behind"], &runs[0]["ended_at"]), (&json!(0), &json!(null)));
    assert_eq!((&runs[2]["commits_behind"], &runs[2]["reason"]), (&json!(3), &json!("exited")));
    assert_eq!((&runs[2]["outcome"], &runs[2]["words"]), (&json!("failed"), &json!("exited 3")));
    main.tell("exit 0");
    open.ended();
}

#[test]
fn a_rewritten_commit_and_a_pruned_log_are_said() {
    let sandbox = Sandbox::new();
    sandbox.worker("Check", json!({"command": "true"}));
    let run = sandbox.start("Check");
    run.ended();
    sandbox.git(["commit", "-q", "--amend", "--allow-empty", "-m", "Rewritten"]);
    sandbox.commit("And gone on");
    fs::remove_file(sandbox.lattice_dir().join(format!("logs/workers/{}.log", run.id))).unwrap();
    let lines = section(&sandbox);
    assert!(lines[0].contains(" (2 commits behind HEAD, 1 not in it): exited 0"), "{lines:#?}");
    assert_eq!(lines[1], "    log: pruned");
    let outside = Sandbox::without_git();
    outside.worker("Check", json!({"command": "true"}));
    outside.start("Check").ended();
    assert!(section(&outside)[0].ends_with("at unknown: exited 0"), "no git, no drift");
}

#[test]
fn on_a_terminal_times_are_local_and_in_a_pipe_utc() {
    let sandbox = Sandbox::new();
    let created = sandbox.events()[0]["ts"].as_str().unwrap().to_owned();
    let show = |words: &[&str]| {
        let call = sandbox.lattice(["show", "LAT-1"].iter().chain(words).copied());
        call.env("TZ", "<+0530>-05:30")
    };
    let (status, shown) = Screen::start(show(&[]), 100).finish();
    assert_eq!(status, Some(0), "{shown}");
    let there =
        sandbox.program(["date", "-u", "-d", &format!("{created} + 330 minutes"), "+%F %T"]);
    let there = there.run().ok().stdout.trim().to_owned();
    assert!(shown.contains(&format!("Created: {there} (")) && shown.contains("s ago)"), "{shown}");
    assert!(shown.contains(&format!("  {there}  task_created")), "{shown}");
    assert!(!shown.contains(&created), "{shown}");
    let piped = show(&[]).run().ok();
    assert!(piped.stdout.contains(&format!("Created: {created}  ")), "{piped}");
    let json = show(&["--json"]).run().ok().data();
    assert_eq!(json["created_at"], created);
    sandbox.lattice(["comment", "LAT-1", "x", "--actor", ACTOR]).run().ok();
}
